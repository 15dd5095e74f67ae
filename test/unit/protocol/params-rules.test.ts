/** Rules about several parameters at once, and what is usual for each kind of job. */
import { describeIssues } from '../../../src/commands/jobs/params-problems';
import { JobParams } from '../../../src/protocol/job-params';

const base = 'hf:org/model';

/** What a requester reads about parameters; empty where they can be used. */
function problemsOf(params: object): string[] {
  const parsed = JobParams.safeParse(params);
  return parsed.success ? [] : describeIssues(parsed.error.issues);
}

test.each([
  [{ accumulate: 3, batch: 8 }, 'accumulate: must divide batch into 3 equal parts; batch is 8'],
  [{ accumulate: 2 }, 'accumulate: must divide batch into 2 equal parts; name batch too'],
  [{ model: { family: 'llama', width: 36, heads: 12 } }, 'model.heads: a llama turns pairs of numbers, so width ÷'],
  [{ model: { layers: 96, heads: 128, width: 16_384 } }, 'GiB on a device, and no device has more than 512'],
  [{ inner: { lr: 1 } }, 'outer: inner.lr × outer.lr ÷ (1 − outer.momentum) is 1, and above 0.5'],
  [
    { inner: { optimiser: 'muon', muonLr: 1 }, outer: { lr: 3, momentum: 0.5 } },
    'inner.muonLr × outer.lr ÷ (1 − outer.momentum) is 6',
  ],
  [{ base, tune: 'lora', inner: { optimiser: 'muon' } }, 'inner.optimiser: muon moves whole matrices, and an adapter'],
  [{ data: { format: 'text', field: 'body' } }, 'data.field: is about records, and data.format "text" has none'],
  [{ data: { format: 'text', loss: 'answers' } }, 'data.loss: is about records'],
  [{ base, tune: 'lora', lora: { targets: ['q', 'v', 'q'] } }, 'lora.targets: names q twice'],
])('%j: refused, in words', (params, words) => {
  expect(problemsOf(params).join()).toContain(words);
});

test.each([
  [{ lora: { r: 3 } }, 'lora goes with "tune": "lora" only'],
  [{ base, tune: 'full', lora: {} }, 'lora goes with "tune": "lora" only'],
  [{ base, tune: 'lora', model: { layers: 3 } }, 'model.layers is for models from scratch'],
  [{ base }, 'tune: with a base, tune must be "full" (all its weights) or "lora" (an adapter)'],
  [{ tune: 'lora' }, 'base: name the model to start from: sha256:'],
  [{ base: './gpt2', tune: 'full' }, 'base: must be sha256:'],
  [{ tokenizer: { type: 'base' } }, 'tokenizer.type: must be "byte" or "bpe"; "base", the tokenizer'],
  [{ base, tune: 'lora', lora: { rank: 3 } }, 'lora.rank is not a parameter; did you mean lora.r?'],
  [{ base, tune: 'lora', lora: { target: [] } }, 'did you mean lora.targets?'],
  [{ gradient_checkpointing: true }, 'did you mean gradientCheckpointing?'],
  [{ data: { colum: 'x' } }, 'data.colum is not a parameter'],
])('%j, of another kind of job: says where it belongs', (params, words) => {
  expect(problemsOf(params).join()).toContain(words);
});

test('numbers that divide, layers named once: no problem', () => {
  const lora = { r: 4, targets: ['q_proj', 'v_proj'] };
  expect(problemsOf({ base, tune: 'lora', lora, batch: 8, accumulate: 4 })).toEqual([]);
  expect(problemsOf({ model: { family: 'llama', heads: 6, width: 384 } })).toEqual([]);
  expect(problemsOf({ inner: { muonLr: 1 }, outer: { lr: 3 } })).toEqual([]);
});

test.each([
  [{}, 128, 0.01],
  [{ base, tune: 'full' }, 512, 0],
  [{ base, tune: 'lora' }, 512, 0],
])('%j: context and gain that are usual for it', (params, context, minGain) => {
  expect(JobParams.parse(params)).toMatchObject({ model: { context }, minGain });
});
