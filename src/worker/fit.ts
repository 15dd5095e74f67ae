/** Whether a job fits this worker's machine: asked before any of its data are fetched. */
import type { Box, DeviceRoom } from '../domain/job-fit';
import { workerBytesOf } from '../domain/lease-bounds';
import { AppError } from '../lib/errors';
import { formatBytes } from '../lib/format-bytes';
import type { OfferedJob } from './state';

export type FitError =
  | { code: 'worker/too-small'; what: 'memory' | 'disk'; neededBytes: number; roomBytes: number }
  | { code: 'worker/no-library'; library: string };

/** What Python needs besides, by the program of a job. */
const LIBRARIES = {
  gpt2: [],
  llama: ['transformers'],
  full: ['transformers'],
  lora: ['transformers', 'peft'],
} as const;

/** Throws `worker/no-library` for a job that needs a Python library which is lacking here. */
export function requireLibraries({ params }: OfferedJob, lacking: readonly string[]): void {
  const program = params.tune === 'none' ? params.model.family : params.tune;
  const library = LIBRARIES[program].find((name) => lacking.includes(name));
  if (library === undefined) return;
  throw new AppError<FitError>(
    { code: 'worker/no-library', library },
    `The job needs the Python library ${library}, which this worker lacks; run \`npm run setup\` there.`,
  );
}

/** Throws `worker/too-small` for a job that needs more memory or disk than there is. */
export function requireFit(job: OfferedJob, room: Box & DeviceRoom): void {
  const needed = workerBytesOf(job, room);
  const what =
    needed.memoryBytes > room.memoryBytes ? 'memory' : needed.diskBytes > room.diskBytes ? 'disk' : undefined;
  if (!what) return;
  const [neededBytes, roomBytes] = [needed[`${what}Bytes`], room[`${what}Bytes`]];
  throw new AppError<FitError>(
    { code: 'worker/too-small', what, neededBytes, roomBytes },
    `The job needs ${formatBytes(neededBytes)} of ${what}, and this worker has ${formatBytes(roomBytes)}.`,
  );
}
