/** The parameters of a job: what a requester may ask to be trained. */
import { z } from 'zod';
import { parseBaseReference } from '../domain/base-reference';
import { codecs } from '../domain/codec';
import { dataFormats } from '../domain/data-formats';
import { findBrokenRules } from './params-rules';

/** What is usual for a kind of job: a base is moved less far, and may know already what it is shown. */
interface Usual {
  context: number;
  optimiser: (typeof optimisers)[number];
  minGain: number;
}
const usual: Readonly<Record<'none' | 'full' | 'lora', Usual>> = {
  none: { context: 128, optimiser: 'muon', minGain: 0.01 },
  full: { context: 512, optimiser: 'adamw', minGain: 0 },
  lora: { context: 512, optimiser: 'adamw', minGain: 0 },
};

const fraction = (min: number, max: number) => z.number().min(min).max(max);

const contextOf = (usual: { context: number }) =>
  z.int().min(16).max(8192).default(usual.context).describe('tokens a sequence holds');
const tuneOf = <K extends string>(kind: K) =>
  z.literal(kind).describe('with a base: all of its weights, or an adapter beside them; without one it is left out');
const dropout = fraction(0, 0.9)
  .default(0)
  .describe('dropout probability while training; above 0 no lease can be checked by doing it again');

/** The shape of a model that is trained from scratch. */
export const ModelShape = z
  .strictObject({
    family: z.enum(['gpt2', 'llama']).default('gpt2').describe('architecture'),
    layers: z.int().min(1).max(96).default(4).describe('transformer blocks'),
    heads: z.int().min(1).max(128).default(4).describe('attention heads; must divide width'),
    width: z.int().min(16).max(16384).default(128).describe('embedding width'),
    context: contextOf(usual.none),
    dropout,
  })
  .refine((m) => m.width % m.heads === 0, { error: 'width must be a multiple of heads', path: ['heads'] });

export const MAX_VOCABULARY = 262_144;

const TOKENIZERS =
  "byte: a token for each byte of UTF-8; bpe: byte pairs, trained on the job's own training part; base: the base's own";

/** How a job from scratch turns text into tokens. */
export const Tokenizer = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('byte').describe(TOKENIZERS) }),
    z.strictObject({
      type: z.literal('bpe').describe(TOKENIZERS),
      vocabSize: z.int().min(300).max(MAX_VOCABULARY).default(4096).describe('tokens of a bpe tokenizer'),
    }),
  ],
  { error: 'must be "byte" or "bpe"; "base", the tokenizer of a base, goes with one' },
);

export const optimisers = ['adamw', 'muon'] as const;

const BaseTokenizer = z.strictObject({ type: z.literal('base').describe(TOKENIZERS) });

const FORMS = 'sha256:<64 hex digits>[@<storage>,…] as `emeth put` prints it, or hf:<organisation>/<name>[@<revision>]';
/** A file list in a storage, or a model of a hub. */
const Base = z
  .string({ error: `name the model to start from: ${FORMS}` })
  .refine((text) => parseBaseReference(text) !== undefined, { error: `must be ${FORMS}` })
  .describe('the model to start from');

export const DataFormat = z.enum(dataFormats);
export type DataFormat = z.infer<typeof DataFormat>;

const Data = z.strictObject({
  format: DataFormat.default('auto').describe('kind of file; auto: found by its content'),
  field: z.string().min(1).max(200).optional().describe('the field or column that holds the text'),
  template: z
    .string()
    .min(1)
    .max(2000)
    .optional()
    .describe('chatml, alpaca, plain or Jinja; default: the chat template of the base, or chatml'),
  skipBroken: fraction(0, 0.01).default(0).describe('part of the records that may be broken and are then left out'),
  language: z.enum(['auto', 'ja', 'other']).default('auto').describe('ja: split at lines; auto: found by the script'),
  loss: z.enum(['auto', 'all', 'answers']).default('auto').describe('auto: on answers only, where there are any'),
});

const Lora = z.strictObject({
  r: z.int().min(1).max(1024).default(8).describe('rank'),
  alpha: z.number().positive().max(4096).default(16).describe('scale of the adapter is alpha ÷ r'),
  dropout: fraction(0, 0.9).default(0).describe('above 0 no lease can be checked by doing it again'),
  targets: z
    .union([
      z.literal('auto'),
      z
        .array(
          z
            .string()
            .regex(/^[\w.]+$/)
            .max(100),
        )
        .min(1)
        .max(32),
    ])
    .default('auto')
    .describe("names of the layers that get an adapter; auto: the attention's"),
  merge: z.boolean().default(false).describe('hand back the merged model too'),
});

/** What is left open is settled by `settle-params.ts`, once it is known how much work the job is. */
const Round = z.strictObject({
  steps: z.int().min(1).max(10000).optional().describe('inner steps (H) of an average worker in a round'),
});
const MuonLr = z.number().positive().max(1).describe('peak Muon learning rate');
const innerFor = ({ optimiser }: Pick<Usual, 'optimiser'>) =>
  z.strictObject({
    optimiser: z
      .enum(optimisers)
      .default(optimiser)
      .describe('muon: Muon for the matrices inside the blocks, AdamW for all else; not with lora'),
    lr: z.number().positive().max(1).optional().describe('peak AdamW learning rate'),
    muonLr: MuonLr.optional(),
    muonMomentum: fraction(0, 0.9999).default(0.95).describe('Muon momentum (Nesterov)'),
    minLrRatio: fraction(0, 1).default(0.1).describe('last learning rate ÷ peak, reached by a cosine'),
    warmup: fraction(0, 0.5).default(0.02).describe('fraction of the job over which the rate rises linearly'),
    weightDecay: fraction(0, 1).default(0.1).describe('weight decay, times the rate; biases and norms have none'),
    beta1: fraction(0, 0.9999).default(0.9).describe('AdamW first moment'),
    beta2: fraction(0, 0.99999).default(0.95).describe('AdamW second moment'),
    clip: z.number().positive().default(1).describe('gradient norm limit'),
  });
const Outer = z.strictObject({
  lr: z.number().positive().max(4).optional().describe('outer learning rate (SGD, Nesterov)'),
  momentum: fraction(0, 0.999).optional().describe('outer momentum'),
});

const commonFor = (kind: Usual) => ({
  program: z.literal('lm').default('lm').describe('kind of job: a causal language model'),
  data: Data.prefault({}),
  seed: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .default(0)
    .describe('seed of initial weights and data order'),
  epochs: z
    .number()
    .positive()
    .max(1000)
    .optional()
    .describe('passes over the training part; default: the master’s n_epochs'),
  batch: z.int().min(1).max(4096).optional().describe('sequences per inner step; default: the master’s batchSize'),
  validation: fraction(0.01, 0.5)
    .optional()
    .describe('last part of the data, held out for validation; default: 0.07, of Japanese 0.1'),
  gradientCheckpointing: z.boolean().default(false).describe('compute activations twice, to need less memory'),
  accumulate: z.int().min(1).max(4096).default(1).describe('least number of parts in which a batch is computed'),
  round: Round.prefault({}),
  inner: innerFor(kind).prefault({}),
  outer: Outer.prefault({}),
  audit: z
    .strictObject({
      rate: fraction(0, 1).default(0.05).describe('chance that a lease is done a second time and compared'),
    })
    .prefault({}),
  minGain: z
    .number()
    .min(0)
    .default(kind.minGain)
    .describe('nats per token by which the held-out loss must fall for the result to be accepted'),
  partial: z
    .boolean()
    .default(false)
    .describe('submit the best weights so far when the whole cannot be done; only what was merged is paid'),
  public: z
    .boolean()
    .default(false)
    .describe('let everybody read its data set, updates and model, so that anybody can repeat it'),
  codec: z
    .enum([...codecs, 'auto'])
    .default('auto')
    .describe('how updates travel; auto: int8, and int4 or int2 where links are slow'),
  precision: z.enum(['auto', 'fp32', 'bf16']).default('auto').describe('auto: bf16 autocast on CUDA, fp32 on CPU'),
});

const FromScratch = z.strictObject({
  tune: tuneOf('none'),
  model: ModelShape.prefault({}),
  tokenizer: Tokenizer.default({ type: 'byte' }).describe('how text becomes tokens'),
  ...commonFor(usual.none),
});
const baseFor = (kind: Usual) => ({
  base: Base,
  model: z.strictObject({ context: contextOf(kind), dropout }).prefault({}),
  tokenizer: BaseTokenizer.default({ type: 'base' }),
  ...commonFor(kind),
});
const FullTune = z.strictObject({ tune: tuneOf('full'), ...baseFor(usual.full) });
const LoraTune = z.strictObject({ tune: tuneOf('lora'), ...baseFor(usual.lora), lora: Lora.prefault({}) });

/** As it is written: one that names no base need not say that it is trained from scratch. */
type Written<P> = P extends { tune: 'none' } ? Omit<P, 'tune'> & { tune?: 'none' } : P;

/** A request that names no base is trained from scratch. */
function withTune(params: unknown): unknown {
  const isPlain =
    typeof params === 'object' &&
    params !== null &&
    !Array.isArray(params) &&
    !('tune' in params) &&
    !('base' in params);
  return isPlain ? { tune: 'none', ...params } : params;
}

const chosen = {
  error: 'with a base, tune must be "full" (all its weights) or "lora" (an adapter); without one, leave it out',
};
const AskedParams = z.discriminatedUnion('tune', [FromScratch, FullTune, LoraTune], chosen);
const AnyParams = z.preprocess<unknown, typeof AskedParams, Written<z.input<typeof AskedParams>>>(
  withTune,
  AskedParams,
);

/**
 * The JSON text of a request. Everything has a default, so `{}` is a job. An unknown key is an error, because
 * a misspelt one would silently train something else.
 */
export const JobParams = AnyParams.check(({ value, issues }) => {
  for (const rule of findBrokenRules(value)) issues.push({ code: 'custom', input: value, ...rule });
});
export type JobParams = z.infer<typeof JobParams>;

const numbers = { epochs: true, batch: true } as const;
/** With epochs and batch, by which data and model are known; the rest may still be open. */
export type NumberedParams = JobParams & { epochs: number; batch: number };
/** Those of a job that starts from a base. */
export type TunedParams = Exclude<NumberedParams, { tune: 'none' }>;

/** A plan that was stored before there was a choice names no optimiser, and has AdamW. */
const SettledInner = innerFor({ optimiser: 'adamw' })
  .required({ lr: true })
  .extend({ muonLr: MuonLr.default(0.02) });
const settled = {
  round: Round.required(),
  inner: SettledInner,
  outer: Outer.required(),
  codec: z.enum(codecs),
};
/** Parameters with every value set: what is trained, and what the manifest records. */
const SetParams = z.discriminatedUnion('tune', [
  FromScratch.required(numbers).extend(settled),
  FullTune.required(numbers).extend(settled),
  LoraTune.required(numbers).extend(settled),
]);
export const ResolvedParams = z.preprocess<unknown, typeof SetParams, Written<z.input<typeof SetParams>>>(
  withTune,
  SetParams,
);
export type ResolvedParams = z.infer<typeof ResolvedParams>;

/** Longest parameter text a request may carry, in bytes. */
export const MAX_PARAMS_BYTES = 4096;
