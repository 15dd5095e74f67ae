/** How large the blobs of a lease can be at most, and what a worker needs for them. */
import { type Box, type DeviceRoom, neededBytesOf, tokenBytes } from './job-fit';
import { type BaseSize, type ModelSize, modelSizeOf, type SizedParams } from './model-size';

/** No blob is larger: weights that fit a device are far below. */
export const MAX_BLOB_BYTES = 2 ** 40;

/** What a tensor file has besides its numbers. */
const HEADER_BYTES = 2 ** 20;
/** Bytes of a weight, and of an update's number with the largest codec. */
const NUMBER_BYTES = 4;

interface JobShape {
  params: SizedParams & { batch: number };
  vocabSize: number;
  base?: { size: BaseSize } | undefined;
}

interface LeaseBlobs {
  start: number;
  end: number;
  shard: { bytes: number };
  theta: { bytes: number };
  delta?: { blob: { bytes: number } } | undefined;
}

/** Returns the most bytes that weights, a step or an update of so many parameters take as a file. */
export function mostTensorBytes(parameters: number): number {
  return NUMBER_BYTES * parameters + HEADER_BYTES;
}

/** Returns which of a lease's blobs is larger than it can be; undefined where all fit the job. */
export function findOversized(job: JobShape, lease: LeaseBlobs) {
  const { shard, theta, delta } = lease;
  const most = mostTensorBytes(sizeOfJob(job).trainable);
  const blobs = [
    { what: 'shard', bytes: shard.bytes, most: mostShardBytes(job, lease) },
    { what: 'weights', bytes: theta.bytes, most },
    { what: 'step', bytes: delta?.blob.bytes ?? 0, most },
  ];
  return blobs.find((blob) => blob.bytes > blob.most);
}

/** Files of trained numbers: weights, step and update of a lease, and what the child holds of them. */
const LEASE_COPIES = 5;

/** Returns what a worker needs: the memory of each device, and the disk for base and weights of a lease. */
export function workerBytesOf(job: JobShape, room: DeviceRoom): Box {
  const size = sizeOfJob(job);
  const diskBytes = size.baseBytes + LEASE_COPIES * NUMBER_BYTES * size.trainable;
  return { memoryBytes: neededBytesOf(size, room), diskBytes };
}

function mostShardBytes({ params, vocabSize }: JobShape, { start, end }: LeaseBlobs): number {
  const { context } = params.model;
  // Beside the tokens there may be a byte for each target: whether it counts.
  const rowBytes = (context + 1) * tokenBytes(vocabSize) + context;
  return (end - start) * params.batch * rowBytes + HEADER_BYTES;
}

/** Returns the size of a job's model. */
export function sizeOfJob({ params, vocabSize, base }: JobShape): ModelSize {
  return modelSizeOf(params, vocabSize, base?.size);
}
