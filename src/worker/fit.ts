/** Whether a job fits this worker's machine: asked before any of its data are fetched. */
import type { Box } from '../domain/job-fit';
import { workerBytesOf } from '../domain/lease-bounds';
import { AppError } from '../lib/errors';
import { formatBytes } from '../lib/format-bytes';
import type { OfferedJob } from './state';

export type FitError = { code: 'worker/too-small'; what: 'memory' | 'disk'; neededBytes: number; roomBytes: number };

/** Throws `worker/too-small` for a job that needs more memory or disk than there is. */
export function requireFit(job: OfferedJob, room: Box): void {
  const needed = workerBytesOf(job);
  const what =
    needed.memoryBytes > room.memoryBytes ? 'memory' : needed.diskBytes > room.diskBytes ? 'disk' : undefined;
  if (!what) return;
  const [neededBytes, roomBytes] = [needed[`${what}Bytes`], room[`${what}Bytes`]];
  throw new AppError<FitError>(
    { code: 'worker/too-small', what, neededBytes, roomBytes },
    `The job needs ${formatBytes(neededBytes)} of ${what}, and this worker has ${formatBytes(roomBytes)}.`,
  );
}
