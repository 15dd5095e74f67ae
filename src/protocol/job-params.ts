/** The parameters of a job: what a requester may ask to be trained. */
import { z } from 'zod';
import { MAX_DEVICE_BYTES, memoryBytesOf, vocabularyOf } from '../domain/job-fit';

const fraction = (min: number, max: number) => z.number().min(min).max(max);

/** The model's shape: a GPT-2 style decoder. Parameters ≈ 12 · layers · width² + vocabulary · width. */
export const ModelShape = z
  .strictObject({
    layers: z.int().min(1).max(96).default(4).describe('transformer blocks'),
    heads: z.int().min(1).max(128).default(4).describe('attention heads; must divide width'),
    width: z.int().min(16).max(16384).default(128).describe('embedding width'),
    context: z.int().min(16).max(8192).default(128).describe('tokens a sequence holds'),
    dropout: fraction(0, 0.9)
      .default(0)
      .describe('dropout probability while training; above 0 no lease can be checked by doing it again'),
  })
  .refine((m) => m.width % m.heads === 0, { error: 'width must be a multiple of heads', path: ['heads'] });

export const MAX_VOCABULARY = 262_144;

export const Tokenizer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('byte') }).describe('one token per UTF-8 byte'),
  z
    .strictObject({ type: z.literal('bpe'), vocabSize: z.int().min(300).max(MAX_VOCABULARY).default(4096) })
    .describe("byte-level BPE trained on the job's own training part"),
]);

export const codecs = ['int8', 'bf16', 'fp32'] as const;

const AnyParams = z.strictObject({
  program: z.literal('lm').default('lm').describe('kind of job: a causal language model'),
  model: ModelShape.prefault({}),
  tokenizer: Tokenizer.default({ type: 'byte' }),
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
  validation: fraction(0.01, 0.5).default(0.07).describe('last part of the data, held out for validation'),
  round: z
    .strictObject({
      steps: z.int().min(1).max(10000).default(50).describe('inner steps (H) of an average worker in a round'),
    })
    .prefault({}),
  inner: z
    .strictObject({
      lr: z.number().positive().max(1).default(2e-3).describe('peak AdamW learning rate'),
      minLrRatio: fraction(0, 1).default(0.1).describe('last learning rate ÷ peak, reached by a cosine'),
      warmup: fraction(0, 0.5).default(0.02).describe('fraction of the job over which the rate rises linearly'),
      weightDecay: fraction(0, 1).default(0.1),
      beta1: fraction(0, 0.9999).default(0.9),
      beta2: fraction(0, 0.99999).default(0.95),
      clip: z.number().positive().default(1).describe('gradient norm limit'),
    })
    .prefault({}),
  outer: z
    .strictObject({
      lr: z.number().positive().max(4).default(1).describe('outer learning rate (SGD, Nesterov)'),
      momentum: fraction(0, 0.999).default(0.5),
    })
    .prefault({}),
  audit: z
    .strictObject({
      rate: fraction(0, 1).default(0.05).describe('chance that a lease is done a second time and compared'),
    })
    .prefault({}),
  minGain: z
    .number()
    .min(0)
    .default(0.01)
    .describe('nats per token by which the held-out loss must fall for the result to be accepted'),
  partial: z
    .boolean()
    .default(false)
    .describe('submit the best weights so far when the whole cannot be done; only what was merged is paid'),
  public: z
    .boolean()
    .default(false)
    .describe('let everybody read its data set, updates and model, so that anybody can repeat it'),
  codec: z.enum(codecs).default('int8').describe('how updates travel'),
  precision: z.enum(['auto', 'fp32', 'bf16']).default('auto').describe('auto: bf16 autocast on CUDA, fp32 on CPU'),
});

/**
 * The JSON text of a request. Everything has a default, so `{}` is a job. An unknown key is an error, because
 * a misspelt one would silently train something else.
 */
export const JobParams = AnyParams.refine(fitsSomeDevice, {
  path: ['model'],
  error: ({ input }) => {
    const gib = Math.ceil(neededBytesOf(input as ModelParams) / 2 ** 30);
    return `needs about ${gib} GiB on a device, and no device has more than ${MAX_DEVICE_BYTES / 2 ** 30}`;
  },
}).refine((params) => wholeRateOf(params) <= MAX_WHOLE_RATE, {
  path: ['outer'],
  error: ({ input }) => {
    const rate = Number(wholeRateOf(input as RateParams).toPrecision(3));
    return `inner.lr × outer.lr ÷ (1 − outer.momentum) is ${rate}, and above ${MAX_WHOLE_RATE} every job diverges`;
  },
});
export type JobParams = z.infer<typeof JobParams>;

/** Parameters with every value set: what is trained, and what the manifest records. */
export type ResolvedParams = Omit<JobParams, 'epochs' | 'batch'> & { epochs: number; batch: number };
export const ResolvedParams = AnyParams.required({ epochs: true, batch: true });

type ModelParams = Pick<z.infer<typeof AnyParams>, 'model' | 'tokenizer'>;

function neededBytesOf(params: ModelParams): number {
  return memoryBytesOf(params, vocabularyOf(params.tokenizer));
}

function fitsSomeDevice(params: ModelParams): boolean {
  return neededBytesOf(params) <= MAX_DEVICE_BYTES;
}

/** A hundred times what the defaults come to; each inner step moves a weight by about so much in the end. */
const MAX_WHOLE_RATE = 0.5;
type RateParams = Pick<z.infer<typeof AnyParams>, 'inner' | 'outer'>;

/** Returns how far the outer steps together carry what an inner step does. */
function wholeRateOf({ inner, outer }: RateParams): number {
  return (inner.lr * outer.lr) / (1 - outer.momentum);
}

/** Longest parameter text a request may carry, in bytes. */
export const MAX_PARAMS_BYTES = 4096;
