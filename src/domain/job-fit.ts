/** Which job to take: the order of preference, and whether one fits the master's fees, time and workers. */
import { CODEC_BYTES, type Codec } from './codec';
import { earnedWei, fuelOf } from './fuel';
import type { JobId } from './ids';
import type { ModelSize } from './model-size';

/** What is known of a job before any of its bytes are fetched. */
export interface JobOffer {
  feeWei: bigint;
  fuelLimit: bigint;
  deadlineMs: number;
}

/** The work of a job, estimated from its parameters and the size of its data. */
export interface WorkEstimate {
  tokens: number;
  parameters: number;
}

/** The speed of the workers that a job could be given. */
export interface Capacity {
  gflops: number;
  /** Bytes a device needs, when there are workers but none of them has so many. */
  lackingBytes?: number | undefined;
}

export interface FeeRange {
  minFeeWei: bigint;
  maxFeeWei: bigint;
}

export type JobRefusal =
  | { code: 'job/fee-too-low'; payWei: bigint; minFeeWei: bigint }
  | { code: 'job/fee-too-high'; payWei: bigint; maxFeeWei: bigint }
  | { code: 'job/deadline-passed'; deadlineMs: number }
  | { code: 'job/not-enough-memory'; neededBytes: number }
  | { code: 'job/not-enough-capacity'; neededMs: number; leftMs: number }
  | { code: 'job/node-too-small'; what: 'disk' | 'memory'; neededBytes: number; roomBytes: number };

// Splitting, evaluating, exporting and two transactions; and the share of the time that is really training.
const FIXED_MS = 60_000;
const EFFICIENCY = 0.5;

/**
 * How a job turns text into tokens: one for each byte, or byte-pair encoding with a vocabulary of its own.
 */
type Tokenizing = { type: 'byte' | 'base' } | { type: 'bpe'; vocabSize: number };

/** Tokens per byte of text, by tokenizer; byte-pair encoding makes one of about 3.5 bytes of English. */
const TOKENS_PER_BYTE = { byte: 1, bpe: 1 / 3.5, base: 1 / 3.5 } as const;

/** The most tokens that a byte of a data set may come to: records and archives can be packed tightly. */
const MOST_TOKENS_PER_BYTE = 200;

/** The part that is held out where the requester names none. */
const HELD_OUT = 0.07;

/**
 * Estimates the tokens a job trains on by the size of its data set in bytes, before anything is tokenised.
 */
export function estimateTokens(
  bytes: number,
  job: { epochs: number; validation?: number | undefined; tokenizer: Tokenizing },
): number {
  const tokens = bytes * TOKENS_PER_BYTE[job.tokenizer.type];
  return Math.max(1, Math.round(tokens * (1 - (job.validation ?? HELD_OUT)) * job.epochs));
}

/**
 * Estimates the tokens of a job of which only the request and the size of its data set are known. The fuel
 * limit is what the requester's own count came to; it is believed as far as so many bytes can hold so much,
 * and what it comes to in fact is counted before the job is taken.
 */
export function expectTokens(
  bytes: number,
  job: Parameters<typeof estimateTokens>[1] & { data: { format: string } },
  { fuelLimit }: Pick<JobOffer, 'fuelLimit'>,
): number {
  const byBytes = estimateTokens(bytes, job);
  if (job.data.format === 'text' && job.tokenizer.type === 'byte') return byBytes;
  const most = Math.round(bytes * MOST_TOKENS_PER_BYTE * job.epochs);
  return Math.max(byBytes, Math.min(Number(fuelLimit), most));
}

/**
 * Returns the bytes of text below which no tokenizer can fill one block and one held-out sequence: no token
 * stands for less than a byte.
 */
export function leastBytes({ batch, model: { context } }: { batch: number; model: { context: number } }): number {
  return batch * context + 1 + context + 1;
}

/** Returns how many different tokens a tokenizer has that is not a base's. */
export function vocabularyOf(tokenizer: Tokenizing): number {
  return tokenizer.type === 'bpe' ? tokenizer.vocabSize : 256;
}

/**
 * Returns the work of a job, in thirds of a whole pass there and back. Where only an adapter is trained, no
 * gradients of the base's own weights are computed; where activations are not kept, they are made twice.
 */
export function workOf(size: ModelSize, tokens: number, blockTokens: number): WorkEstimate {
  const { parameters, trainable, recomputes } = size;
  const thirds = (trainable < parameters ? 2 : 3) + (recomputes ? 1 : 0);
  return { tokens, parameters: Math.round((parameters * thirds) / 3 + muonParameters(size, blockTokens)) };
}

/**
 * Returns what Muon computes in a step, as so many more parameters: some 12 FLOP per matrix number and unit
 * of width, whatever the batch, where a parameter takes 6 per token. Measured by `npm run bench:train`.
 */
export function muonParameters({ byMuon, width }: Pick<ModelSize, 'byMuon' | 'width'>, blockTokens: number): number {
  return (2 * width * byMuon) / blockTokens;
}

/** Passes over the data, and sequences per step, of a job whose requester names none. */
export const DEFAULT_EPOCHS = 1;
export const DEFAULT_BATCH = 8;

/** More memory than any device has; a request that would need more of one is refused. */
export const MAX_DEVICE_BYTES = 2 ** 39;

/** What a worker trains on: the memory of its smallest device, and how many there are. */
export interface DeviceRoom {
  memoryBytes: number;
  devices: number;
}

/** A trained number's weight, gradient and two moments of AdamW; Muon has one. */
const BYTES_PER_TRAINED = 16;
const MOMENT_BYTES = 4;
/**
 * Numbers that a step of Muon holds for each one of the matrices that it moves at once: a third of them where
 * all are few. Those of the way back are gone by then, but what they took is not given back.
 */
const MUON_NUMBERS = 12;
const MUON_BATCH = { part: 1 / 3, most: 2 ** 20 } as const;
/** Numbers kept for the way back, per token, block and unit of width; and beside an adapter's layers. */
const WIDTH_NUMBERS = 10;
const ADAPTER_NUMBERS = 8;
/** Scores that are held at once, and the fewest rows of them; three numbers of each are. */
const CHUNK_SCORES = 2 ** 22;
const CHUNK_ROWS = { adapter: 64, trained: 128 } as const;
const SCORE_NUMBERS = 3;

/** Blocks of a model that are gathered at a time: the one that computes, and the next. */
const GATHERED_BLOCKS = 2;
/** A gathered number, and its gradient before that is shared out. */
const BYTES_PER_GATHERED = 8;

/**
 * Estimates the bytes that training needs at least, with micro-batches of one sequence in fp32: of each
 * device, where several share the model. For one, it came to 0.83 to 1.29 of the measured peak of the Python
 * child on a CPU (python/bench/memory.py), for shapes of 0.8M to 74M parameters, from scratch, in full and
 * by adapter, with contexts of 128 to 2048.
 */
export function memoryBytesOf(size: ModelSize, devices = 1): number {
  const { trainable, byMuon, parameters, baseBytes, layers, width, hidden, context, vocabSize, recomputes } = size;
  const isAdapter = trainable < parameters;
  const inBlock = (WIDTH_NUMBERS + (isAdapter ? ADAPTER_NUMBERS : 0)) * width + hidden;
  const inBlocks = recomputes ? layers * width + inBlock : layers * inBlock;
  const rows = Math.min(context, Math.max(CHUNK_ROWS[isAdapter ? 'adapter' : 'trained'], CHUNK_SCORES / vocabSize));
  // The output layer's gradient, or its weights in the precision that is computed in.
  const head = vocabSize * (SCORE_NUMBERS * rows + width);
  // Of a base that is not trained itself the weights are held as they are stored.
  const held = isAdapter ? baseBytes : 0;
  const muon = MUON_NUMBERS * Math.min(MUON_BATCH.part * byMuon, MUON_BATCH.most);
  const inStep = context * inBlocks + head + muon;
  const kept = BYTES_PER_TRAINED * trainable;
  if (devices === 1) return Math.round(held + kept - MOMENT_BYTES * byMuon + 4 * inStep);
  // Of what Muon trains, its owner has a copy in place of the moment, and whole gradients.
  const embedding = vocabSize * width;
  const gathered = embedding + (GATHERED_BLOCKS * Math.max(0, parameters - embedding)) / layers;
  return Math.round((held + kept) / devices + BYTES_PER_GATHERED * gathered + 4 * (inStep + byMuon / devices));
}

/** Returns whether a worker's devices have to share a model, as it does not fit one of them. */
export function needsSharing(size: ModelSize, { memoryBytes, devices }: DeviceRoom): boolean {
  return devices > 1 && memoryBytesOf(size) > memoryBytes;
}

/** Returns the bytes that a job needs of each of these devices: shared among them only where it has to be. */
export function neededBytesOf(size: ModelSize, room: DeviceRoom): number {
  return memoryBytesOf(size, needsSharing(size, room) ? room.devices : 1);
}

/** Of the node's own machine: what may still be written, and the memory it has in all. */
export interface Box {
  diskBytes: number;
  memoryBytes: number;
}

/** Weights before and after a fold, two states of the outer step (two numbers each), and the model. */
const FILE_BYTES_PER_TRAINED = 4 + 4 + 2 * 8 + 4;
/** Weights that an evaluation reads, and those that it writes its own copy of. */
const HELD_BYTES_PER_TRAINED = 8;

/**
 * Estimates the bytes that a node needs at least, for the files of two rounds with one worker, and for its
 * Python child. Rounds leave more, as evidence has a limit of its own.
 */
export function nodeBytesOf(
  job: { codec: Codec | 'auto'; epochs: number },
  data: { bytes: number; tokens: number },
  { trainable, parameters, baseBytes, vocabSize }: ModelSize,
): Box {
  // Tokens lie in the prepared parts once, and in shards for each epoch.
  const dataBytes = data.bytes + tokenBytes(vocabSize) * data.tokens * (1 + 1 / Math.max(1, job.epochs));
  const perTrained = FILE_BYTES_PER_TRAINED + 2 * CODEC_BYTES[job.codec === 'auto' ? 'int8' : job.codec];
  const held = trainable < parameters ? baseBytes : 0;
  return {
    diskBytes: Math.ceil(dataBytes + baseBytes + perTrained * trainable),
    memoryBytes: held + HELD_BYTES_PER_TRAINED * trainable,
  };
}

/** Returns the bytes of an update or a step, but for headers: what goes up or down in a round. */
export function updateBytesOf({ trainable }: Pick<ModelSize, 'trainable'>, codec: Codec): number {
  return Math.ceil(CODEC_BYTES[codec] * trainable);
}

/** Bytes of a token in prepared data and shards. */
export function tokenBytes(vocabSize: number): number {
  if (vocabSize <= 2 ** 8) return 1;
  return vocabSize <= 2 ** 16 ? 2 : 4;
}

/** Returns why the node's own machine cannot do a job; undefined when it can. */
export function refuseByBox(needed: Box, box: Box): JobRefusal | undefined {
  const { diskBytes, memoryBytes } = box;
  const code = 'job/node-too-small';
  if (needed.memoryBytes > memoryBytes)
    return { code, what: 'memory', neededBytes: needed.memoryBytes, roomBytes: memoryBytes };
  if (needed.diskBytes <= diskBytes) return undefined;
  return { code, what: 'disk', neededBytes: needed.diskBytes, roomBytes: Math.max(0, diskBytes) };
}

/** Leaves out the workers whose devices a model does not fit, if it is known. */
export function withMemory<W extends DeviceRoom>(workers: readonly W[], size: ModelSize | undefined): W[] {
  return size ? workers.filter((room) => neededBytesOf(size, room) <= room.memoryBytes) : [...workers];
}

/** Sums the speed of the workers whose devices a job fits. */
export function capacityFor(workers: readonly ({ gflops: number } & DeviceRoom)[], size: ModelSize): Capacity {
  const able = withMemory(workers, size);
  const isLacking = workers.length > 0 && able.length === 0;
  return {
    gflops: able.reduce((sum, { gflops }) => sum + gflops, 0),
    lackingBytes: isLacking ? Math.min(...workers.map((room) => neededBytesOf(size, room))) : undefined,
  };
}

/**
 * Estimates the milliseconds of training: 6 FLOP per parameter and token, forward and backward (Kaplan et
 * al., 2001.08361).
 */
export function estimateMs(work: WorkEstimate, capacity: Capacity): number {
  const flops = 6 * work.parameters * work.tokens;
  return FIXED_MS + (1000 * flops) / (capacity.gflops * 1e9 * EFFICIENCY);
}

/** Computes what a job pays if all its planned tokens are merged: never more than its fee. */
export function expectedPayWei(job: JobOffer, tokens: number): bigint {
  return earnedWei(job.feeWei, fuelOf(tokens, job.fuelLimit), job.fuelLimit);
}

/** Sorts jobs as a master considers them: best paid first, then by id, so that masters on one queue agree. */
export function byFee(a: { id: JobId; feeWei: bigint }, b: { id: JobId; feeWei: bigint }): number {
  if (a.feeWei !== b.feeWei) return a.feeWei > b.feeWei ? -1 : 1;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}

/** Returns why a job would not be taken now; undefined when it would. */
export function refuseJob(
  job: JobOffer,
  work: WorkEstimate,
  fees: FeeRange,
  capacity: Capacity,
  nowMs: number,
): JobRefusal | undefined {
  const payWei = expectedPayWei(job, work.tokens);
  if (payWei < fees.minFeeWei) return { code: 'job/fee-too-low', payWei, minFeeWei: fees.minFeeWei };
  if (payWei > fees.maxFeeWei) return { code: 'job/fee-too-high', payWei, maxFeeWei: fees.maxFeeWei };
  const leftMs = job.deadlineMs - nowMs;
  if (leftMs <= 0) return { code: 'job/deadline-passed', deadlineMs: job.deadlineMs };
  if (capacity.lackingBytes) return { code: 'job/not-enough-memory', neededBytes: capacity.lackingBytes };
  const neededMs = estimateMs(work, capacity);
  if (neededMs > leftMs) return { code: 'job/not-enough-capacity', neededMs, leftMs };
  return undefined;
}

const LEAST_LOOK_MS = 15_000;
const MOST_LOOK_MS = 600_000;

/** How soon a job of this age is considered again that was not taken: the older, the more seldom. */
export function nextLookMs(ageMs: number): number {
  return Math.max(LEAST_LOOK_MS, Math.min(ageMs / 10, MOST_LOOK_MS));
}

/**
 * Chooses the idle workers a job gets, fastest first: one for `1v1`; for `nvm` as many as the deadline needs,
 * and all of them when no other job is waiting.
 */
export function chooseWorkers<W extends { gflops: number }>(
  idle: readonly W[],
  options: { cooperative: '1v1' | 'nvm'; work: WorkEstimate; leftMs: number; othersWaiting: boolean },
): W[] {
  const bySpeed = [...idle].sort((a, b) => b.gflops - a.gflops);
  if (options.cooperative === '1v1') return bySpeed.slice(0, 1);
  if (!options.othersWaiting) return bySpeed;
  let gflops = 0;
  const enough = bySpeed.findIndex((worker) => {
    gflops += worker.gflops;
    return estimateMs(options.work, { gflops }) <= options.leftMs;
  });
  return enough < 0 ? bySpeed : bySpeed.slice(0, enough + 1);
}
