/** Which codec a job's updates travel in, where its request leaves that to the node. */
import { CODEC_BYTES, type Codec } from './codec';

/** A worker as far as it is measured. */
export interface MeasuredWorker {
  gflops: number | undefined;
  upBytesPerSecond: number | undefined;
  downBytesPerSecond: number | undefined;
}

/** What a round is. */
export interface RoundWork {
  /** Numbers that are trained, of the model's. */
  trainable: number;
  parameters: number;
  /** The work of an average worker. */
  gflop: number;
}

export interface CodecChoice {
  codec: Codec;
  /** For people. */
  why: string;
}

/** From the least lossy one. Larger ones than the first bring no lower loss; sparse costs too much of it. */
export const autoCodecs: readonly Codec[] = ['int8', 'int4', 'int2'];
/** The part of a round's time that its transfers may take. */
const MOST_PART = 0.03;
/** Fewer numbers travel in a moment, whatever the codec. */
const SMALL = 1e6;

/**
 * Chooses the least lossy codec with which the transfers of a round, an update up and a step down, take at
 * most 3 % of its time over the slowest link; int2 where none is that thin. Adapters and small models
 * travel in int8, and so does everything while nothing is measured.
 */
export function chooseCodec(workers: readonly MeasuredWorker[], work: RoundWork): CodecChoice {
  if (work.trainable < work.parameters) return { codec: 'int8', why: 'an adapter is small' };
  if (work.trainable < SMALL) return { codec: 'int8', why: 'the model is small' };
  const secondsPerByte = Math.max(...workers.flatMap((worker) => linkSeconds(worker) ?? []));
  const gflops = workers.flatMap((worker) => worker.gflops || []);
  if (!Number.isFinite(secondsPerByte) || gflops.length === 0)
    return { codec: 'int8', why: 'no link or speed of its workers is measured yet' };
  const roundSeconds = (work.gflop * gflops.length) / gflops.reduce((sum, speed) => sum + speed, 0);
  const partOf = (codec: Codec) => (CODEC_BYTES[codec] * work.trainable * secondsPerByte) / roundSeconds;
  const codec = autoCodecs.find((candidate) => partOf(candidate) <= MOST_PART) ?? 'int2';
  const instead = codec === 'int8' ? '' : `; int8 would take ${percent(partOf('int8'))}`;
  return { codec, why: `transfers take ${percent(partOf(codec))} of a round over the slowest link${instead}` };
}

/** Seconds that a byte takes up and another down; what is not known of one way is as of the other. */
function linkSeconds({ upBytesPerSecond: up, downBytesPerSecond: down }: MeasuredWorker): number | undefined {
  const [first, second] = [up ?? down, down ?? up];
  return first === undefined || second === undefined ? undefined : 1 / first + 1 / second;
}

function percent(part: number): string {
  return `${(100 * part).toPrecision(2)} %`;
}
