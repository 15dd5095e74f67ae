/** Parameters put together from a preset, `--params` and options. */
import { composeParams } from '../../../../src/commands/jobs/request-params';

const base = 'hf:org/model';

describe('composeParams', () => {
  test('no preset: what was given, and the options', () => {
    expect(composeParams({ epochs: 2 }, {})).toEqual({ epochs: 2 });
    expect(composeParams({ epochs: 2 }, { base, tune: 'full' })).toEqual({ epochs: 2, base, tune: 'full' });
  });

  test('preset and a base: the whole of a job', () => {
    expect(composeParams({}, { preset: 'chat-lora', base })).toMatchObject({ base, tune: 'lora', epochs: 3 });
  });

  test('preset and parameters: these win, key by key', () => {
    const params = composeParams({ epochs: 1, inner: { lr: 1e-4 } }, { preset: 'chat-lora', base });
    expect(params).toMatchObject({ epochs: 1, inner: { lr: 1e-4, warmup: 0.03 }, lora: { r: 16 } });
  });

  test('group of another type: replaced as a whole', () => {
    const { tokenizer } = composeParams({ tokenizer: { type: 'byte' } }, { preset: 'small-gpt2' });
    expect(tokenizer).toEqual({ type: 'byte' });
    const larger = composeParams({ tokenizer: { vocabSize: 512 } }, { preset: 'small-gpt2' });
    expect(larger['tokenizer']).toEqual({ type: 'bpe', vocabSize: 512 });
  });

  test('list: replaced, not joined', () => {
    const given = { lora: { targets: ['q_proj'] } };
    expect(composeParams(given, { preset: 'chat-lora', base })['lora']).toEqual({
      r: 16,
      alpha: 32,
      targets: ['q_proj'],
    });
  });

  test.each([
    ['base twice, another one', { base: 'hf:a/b' }, { base }, /--base is hf:org\/model, and --params says "hf:a\/b"/],
    ['tune twice, another one', { tune: 'full' }, { base, tune: 'lora' as const }, /--tune is lora/],
    ['preset without its base', {}, { preset: 'chat-lora' as const }, /name it with --base hf:/],
    ['base for a model from scratch', {}, { preset: 'small-gpt2' as const, base }, /take chat-lora, continue-pre/],
  ])('%s: refused', (_name, given, options, words) => {
    expect(() => composeParams(given, options)).toThrow(words);
  });

  test('base twice, the same: taken', () => {
    expect(composeParams({ base, tune: 'lora' }, { base })).toEqual({ base, tune: 'lora' });
  });
});
