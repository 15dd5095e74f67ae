/** The specs, commands and events between this program and its Python child. */
import { z } from 'zod';
import { Sha256 } from '../domain/ids';
import { DataFormat, ResolvedParams } from './job-params';
import { TrainedUpdate } from './update';

/**
 * The Python child is `python -m emeth`. The first line on its stdin is a `TrainerSpec`, every later line a
 * command. It answers with JSON lines on file descriptor 3; stdout and stderr are only logs. Exit status: 0
 * done, 64 bad spec, 75 out of memory, anything else a crash. The child ends when its stdin closes.
 *
 * All tensors are safetensors files named by path; "theta" is the model's fp32 weights, "delta" the encoded
 * outer step u = θ_{r+1} − θ_r, "update" a worker's encoded pseudo-gradient Δ = θ_r − θ_w, "outer" the outer
 * optimiser's state (momentum and error-feedback buffers). Paths are absolute. Files appear under their names
 * only when complete; the blob store makes them durable (fsync).
 */

const Id = z.int().min(1);
const Path = z.string().min(1);
/** A file the child wrote, with its hash. */
export const FileRef = z.object({ path: Path, sha256: Sha256, bytes: z.int().min(0) });
export type FileRef = z.infer<typeof FileRef>;

const SharedSpec = {
  device: z.string().regex(/^(cpu|cuda|cuda:\d+)$/),
  /** Intra-op threads of the child; 0 lets PyTorch decide. */
  threads: z.int().min(0),
  /** The directory the child may write to. */
  workDir: Path,
};

/** A box's place among those that train together; they meet at this address of the first. */
export const TeamPlace = z
  .strictObject({
    boxes: z.int().min(2).max(64),
    rank: z.int().min(0),
    address: z.union([z.ipv4(), z.ipv6()]),
    port: z.int().min(1).max(65_535),
    /** The network interface by which the other boxes are reached. */
    interface: z.string().min(1),
  })
  .refine(({ boxes, rank }) => rank < boxes);
export type TeamPlace = z.infer<typeof TeamPlace>;

/** What several processes for one model are told. */
const Processes = {
  /** Processes on this machine: 1 is a plain loop, more are torchrun's. */
  processes: z.int().min(1).max(64).default(1),
  /** How long the processes wait for each other. */
  teamMs: z.int().min(1000).default(600_000),
};

/** The directory with the files of the job's base, where it starts from one; the child only reads it. */
const base = Path.optional();

/** The facts a child needs once, at its start. */
export const TrainerSpec = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('train'),
    ...SharedSpec,
    jobId: z.string(),
    params: ResolvedParams,
    base,
    vocabSize: z.int().min(2),
    /** Blocks of the whole job (all epochs): the denominator of the learning-rate schedule. */
    totalBlocks: z.int().min(1),
    /** Sequences of a batch computed at once; gradients are accumulated over the rest. */
    microBatch: z.int().min(1),
    ...Processes,
    team: TeamPlace.optional(),
    /** Whether each process holds a share of the model (FSDP2) instead of all of it (DDP). */
    sharded: z.boolean().default(false),
  }),
  /** Take part in what the first box of a team trains; all else about it comes from there. */
  z.strictObject({ kind: z.literal('member'), ...SharedSpec, ...Processes, team: TeamPlace }),
  z.strictObject({ kind: z.literal('coordinate'), ...SharedSpec, jobId: z.string(), params: ResolvedParams, base }),
  z.strictObject({ kind: z.literal('bench'), ...SharedSpec }),
  /** Say what `prepare` would find, or why it would refuse the data; a child that needs no PyTorch. */
  z.strictObject({
    kind: z.literal('count'),
    ...SharedSpec,
    params: ResolvedParams,
    base,
    dataset: Path,
    maxBytes: z.int().min(1),
  }),
  /** A finished model in memory, which answers `GenerateCommand`s; an adapter's `base` is named too. */
  z.strictObject({ kind: z.literal('generate'), ...SharedSpec, directory: Path, base }),
  /** Write a finished model as a file for llama.cpp. */
  z.strictObject({
    kind: z.literal('gguf'),
    ...SharedSpec,
    directory: Path,
    base,
    quant: z.enum(['q8_0', 'f16', 'f32']),
    /** In `workDir`. */
    out: Path,
  }),
  /** Measure how well a finished model predicts a data set. */
  z.strictObject({
    kind: z.literal('measure'),
    ...SharedSpec,
    directory: Path,
    base,
    dataset: Path,
    format: DataFormat,
    field: z.string().min(1).optional(),
    /** Tokens of a sequence; absent: what the model reads, at most 1024. */
    context: z.int().min(2).optional(),
  }),
]);
export type TrainerSpec = z.input<typeof TrainerSpec>;

/** Commands of `kind: 'train'`. */
export const TrainCommand = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('round.run'),
    id: Id,
    round: z.int().min(0),
    /** Job-wide position of the shard's first block; fixes learning rate and dropout seeds. */
    start: z.int().min(0),
    shard: Path,
    /**
     * Weights to start from: a whole θ file, or a delta onto θ of the hash `base`, which this child holds or
     * finds at `basePath`. What a delta leads to stays as `theta-<sha256>.safetensors` in the directory.
     */
    theta: z.union([
      z.strictObject({ path: Path, sha256: Sha256 }),
      z.strictObject({ delta: Path, base: Sha256, basePath: Path.optional(), sha256: Sha256 }),
    ]),
    /** Path for the encoded update. */
    out: Path,
  }),
  /**
   * Cancel the running round with this id; the round is answered by `failed` with code `train/canceled`. With
   * another id, both commands get that answer.
   */
  z.strictObject({ type: z.literal('round.cancel'), id: Id }),
  /** Write the weights and the blocks of a probe, which follow from the seed. */
  z.strictObject({
    type: z.literal('probe.make'),
    id: Id,
    seed: z.int().min(0),
    blocks: z.int().min(1),
    theta: Path,
    shard: Path,
  }),
  /** As with `coordinate`. */
  z.strictObject({ type: z.literal('compare'), id: Id, update: Path, expected: Path }),
]);
export type TrainCommand = z.infer<typeof TrainCommand>;

/** Commands of `kind: 'coordinate'`, used by the master and (prepare, evaluate) by the verifier. */
export const CoordinateCommand = z.discriminatedUnion('type', [
  /**
   * Check, tokenise and split a dataset. Writes the tokens of both parts, which of them count, and
   * tokenizer.json to workDir.
   */
  z.strictObject({ type: z.literal('prepare'), id: Id, dataset: Path, maxBytes: z.int().min(1) }),
  /** Write θ_0 from the seed. */
  z.strictObject({ type: z.literal('init'), id: Id, out: Path }),
  /** Write the blocks at job-wide positions [start, end), in permuted order, as one shard. */
  z.strictObject({ type: z.literal('cut'), id: Id, start: z.int().min(0), end: z.int().min(1), out: Path }),
  /** Check that a file is a well-formed, finite update of this model, and measure its norm and its use. */
  z.strictObject({
    type: z.literal('inspect'),
    id: Id,
    update: Path,
    /** The weights θ_r the update starts from; asks where it leads to. */
    theta: Path.optional(),
    /** Updates whose direction is compared with this one's. */
    others: z.array(Path).optional(),
    /** Measure by how much the update lowers the loss of `theta` on the first sequences of its own shard. */
    gain: z.strictObject({ theta: Path, shard: Path, sequences: z.int().min(1) }).optional(),
  }),
  /** Measure how far an update lies from the one that the same lease gave somewhere else. */
  z.strictObject({ type: z.literal('compare'), id: Id, update: Path, expected: Path }),
  z.strictObject({
    type: z.literal('fold'),
    id: Id,
    theta: Path,
    /** State of the last fold; absent before the first. */
    outer: Path.optional(),
    /** Summed in this order. `weight` is the token count. */
    updates: z.array(z.strictObject({ path: Path, weight: z.number().positive() })).min(1),
    /** The mean's weights of an earlier fold, to repeat it bit for bit anywhere; else they are computed. */
    weights: z.array(z.number().min(0)).optional(),
    /** Factor on the outer step, < 1 when much of the round's weight was lost. */
    scale: z.number().min(0).max(1),
    thetaOut: Path,
    outerOut: Path,
    deltaOut: Path,
  }),
  z.strictObject({
    type: z.literal('evaluate'),
    id: Id,
    model: z.strictObject({ theta: Path }),
    /** The greatest number of held-out sequences to use, spread evenly; 0 means all. */
    maxSequences: z.int().min(0),
  }),
  /** Take a few steps from θ_0 at the job's highest rates; `params/diverge` when they break the model. */
  z.strictObject({ type: z.literal('rehearse'), id: Id, theta: Path, sequences: z.int().min(1) }),
  z.strictObject({
    type: z.literal('export'),
    id: Id,
    theta: Path,
    /** Empty or not there yet. */
    directory: Path,
    /** Rows of the model card. */
    card: z.record(z.string(), z.string()),
    /** Points of its picture; none: no picture. */
    curve: z.array(z.strictObject({ tokens: z.int().min(0), loss: z.number() })),
    /** How other software finds the base. */
    base: z.strictObject({ name: z.string().min(1), revision: z.string().optional() }).optional(),
  }),
]);
export type CoordinateCommand = z.infer<typeof CoordinateCommand>;

/** Commands of `kind: 'generate'`. */
export const GenerateCommand = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('write'),
    id: Id,
    /** Text to continue, or a conversation to answer by the model's chat template. */
    prompt: z.string().optional(),
    messages: z
      .array(z.strictObject({ role: z.enum(['system', 'user', 'assistant']), content: z.string() }))
      .optional(),
    maxNewTokens: z.int().min(1),
    temperature: z.number().min(0).max(10),
    topK: z.int().min(0),
    seed: z.int().min(0),
  }),
]);
export type GenerateCommand = z.infer<typeof GenerateCommand>;

/**
 * The facts of a prepared data set; part of the manifest. `dataRoot` binds blocks and their order to the job.
 */
export const Prepared = z.object({
  vocabSize: z.int().min(2),
  /**
   * Blocks of one epoch. A block is one inner step's batch: `batch` sequences of `context` predicted tokens.
   */
  epochBlocks: z.int().min(1),
  blockTokens: z.int().min(1),
  trainTokens: z.int().min(1),
  validationTokens: z.int().min(1),
  validationSequences: z.int().min(1),
  /** Merkle root (sha256) over the blocks in file order. */
  dataRoot: Sha256,
});
export type Prepared = z.infer<typeof Prepared>;

/** What a data set comes to before anybody prepares it. */
export const Counted = z.object({
  /** Of a data set of which only a share was read, estimates, and a root that means nothing. */
  prepared: Prepared,
  /** What its records are. */
  form: z.enum(['text', 'messages', 'prompt', 'instruction']),
  texts: z.int().min(1),
  /** Tokens of the part to train on that are learnt: all but the first of each text, or answers only. */
  learntTokens: z.int().min(0),
  share: z.number().positive().max(1),
  /** The first record as the model sees it, in pieces: learnt, or only read. None for text. */
  example: z.array(z.object({ text: z.string(), isLearnt: z.boolean() })),
});
export type Counted = z.infer<typeof Counted>;

/**
 * All events of a child. `id` repeats that of the command; events without one concern the child as a whole.
 */
export const TrainerEvent = z.discriminatedUnion('type', [
  /** Sent once, when the child accepts commands. */
  z.object({
    type: z.literal('ready'),
    device: z.string(),
    threads: z.int(),
    /** The CPU kernels in use: other ones sum in another order. */
    kernels: z.string().optional(),
    parameters: z.int().min(0),
  }),
  z.object({
    type: z.literal('progress'),
    id: Id,
    step: z.int(),
    steps: z.int(),
    /** Mean nats per token since the last progress event. */
    loss: z.number(),
    tokensPerSecond: z.number(),
  }),
  z.object({
    type: z.literal('round.done'),
    id: Id,
    ...TrainedUpdate.shape,
    update: FileRef,
  }),
  /** How far `prepare` or `count` has come, every few seconds. */
  z.object({
    type: z.literal('preparing'),
    step: z.enum(['read', 'tokenise']),
    texts: z.int().min(0),
    bytes: z.int().min(0),
    totalBytes: z.int().min(0),
    bytesPerSecond: z.number().min(0),
    secondsLeft: z.number(),
  }),
  z.object({ type: z.literal('probe.made'), id: Id, theta: FileRef, shard: FileRef }),
  z.object({ type: z.literal('prepared'), id: Id, prepared: Prepared }),
  z.object({ type: z.literal('initialised'), id: Id, theta: FileRef, parameters: z.int() }),
  z.object({ type: z.literal('cut'), id: Id, shard: FileRef, blocks: z.int() }),
  z.object({
    type: z.literal('inspected'),
    id: Id,
    ok: z.boolean(),
    reason: z.string().optional(),
    norm: z.number(),
    /** sha256 of θ − Δ as a θ file, Δ as decoded. */
    endTheta: Sha256.optional(),
    /** Cosine with each of `others`, in the order given. */
    cosines: z.array(z.number()).optional(),
    /** loss(θ) − loss(θ − Δ) in nats per token; −1e308 when θ − Δ has no finite loss. */
    gain: z.number().optional(),
  }),
  /** ‖update − expected‖ ÷ ‖expected‖ of the decoded files; 1e308 when that is not finite. */
  z.object({ type: z.literal('compared'), id: Id, distance: z.number().min(0) }),
  z.object({
    type: z.literal('folded'),
    id: Id,
    theta: FileRef,
    outer: z.strictObject({ path: Path }),
    delta: FileRef,
    /** Norm of each update in the order given, and the factor it was clipped by (1: not at all). */
    norms: z.array(z.number()),
    clips: z.array(z.number()),
    /** The factor of each update in the mean, clipping included; always as computed here. */
    weights: z.array(z.number().min(0)),
  }),
  z.object({ type: z.literal('evaluated'), id: Id, loss: z.number(), tokens: z.int(), lossPerByte: z.number() }),
  z.object({ type: z.literal('rehearsed'), id: Id, loss: z.number() }),
  z.object({
    type: z.literal('exported'),
    id: Id,
    files: z.array(z.object({ name: z.string().regex(/^[\w.-]+$/), sha256: Sha256, bytes: z.int() })),
  }),
  /** `kind: 'bench'`: measured training speed of a reference model, in GFLOP/s, over all devices named. */
  z.object({ type: z.literal('benched'), gflops: z.number().positive(), deviceName: z.string(), memoryBytes: z.int() }),
  /** `kind: 'count'`. */
  z.object({ type: z.literal('counted'), ...Counted.shape }),
  /** Whole characters of an answer, as they are written. */
  z.object({ type: z.literal('piece'), id: Id, text: z.string() }),
  /** All pieces together; `end` says whether the text ended, or the limit came first. */
  z.object({
    type: z.literal('written'),
    id: Id,
    text: z.string(),
    tokens: z.int().min(0),
    end: z.enum(['text', 'limit']),
  }),
  /** `kind: 'gguf'`. */
  z.object({ type: z.literal('converted'), file: FileRef, architecture: z.string() }),
  /** `kind: 'measure'`: mean nats per token that counts, and per byte of these tokens. */
  z.object({
    type: z.literal('measured'),
    loss: z.number(),
    lossPerByte: z.number(),
    tokens: z.int().min(1),
    texts: z.int().min(1),
    onAnswers: z.boolean(),
  }),
  /** A command failed; the child goes on. Codes: `data/…`, `train/…`, `update/…`, `model/…`. */
  z.object({ type: z.literal('failed'), id: Id, code: z.string(), message: z.string() }),
]);
export type TrainerEvent = z.infer<typeof TrainerEvent>;
