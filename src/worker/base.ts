/** The base of a job on this worker: fetched from the master unless an earlier job has left it here. */
import type { BaseCache, HeldBase } from '../blobs/base-cache';
import { crashPoint } from '../lib/crash-point';
import { errorCode } from '../lib/errors';
import { formatBytes } from '../lib/format-bytes';
import type { Logger } from '../lib/logger';
import { type LeaseDeps, pullWatched } from './lease';
import type { OfferedJob } from './state';

export type OfferedBase = NonNullable<OfferedJob['base']>;

export interface BaseDeps extends Pick<LeaseDeps, 'pull' | 'clock'> {
  bases: Pick<BaseCache, 'open' | 'path' | 'has' | 'spareBytes'>;
  logger: Logger;
}

/** How often progress is logged. */
const NOTE_MS = 10_000;
/** A restarted master sends nothing of a base before it has opened the job here again. */
const UNAVAILABLE_MS = 60_000;
const ASK_AGAIN_MS = 1000;

/** Returns the base, which stays here until it is disposed of. Throws `base/…`, `link/…` and `worker/…`. */
export async function openBase(
  { list, listBytes, size }: OfferedBase,
  deps: BaseDeps,
  { limitMs, signal }: { limitMs: number; signal: AbortSignal },
): Promise<HeldBase> {
  const { bases, clock, logger } = deps;
  const bytes = size.baseBytes;
  const startedAtMs = clock.now();
  const note = progressNote(bytes, deps);
  let fetched = 0;
  const base = await bases.open({ list, bytes }, async (sha256, maxBytes) => {
    const blob = { sha256, bytes: sha256 === list ? listBytes : maxBytes };
    if (fetched === 0) logger.info('Fetching the base', { list, size: formatBytes(bytes) });
    const onProgress = (now: number) => note(fetched + now);
    await askAgain(() => pullWatched(blob, { limitMs, signal, onProgress }, deps), deps, signal);
    fetched += blob.bytes;
    crashPoint('base.fetched');
  });
  const seconds = (clock.now() - startedAtMs) / 1000;
  if (fetched > 0) logger.info('Base fetched', { list, bytes: fetched, seconds });
  else logger.info('Base is here already', { list });
  return base;
}

/** Goes on for a while where the master says that it has no such blob. */
async function askAgain(
  work: () => Promise<void>,
  { clock, logger }: Pick<BaseDeps, 'clock' | 'logger'>,
  signal: AbortSignal,
): Promise<void> {
  for (const startedAtMs = clock.now(); ; ) {
    try {
      return await work();
    } catch (error) {
      const isOver = clock.now() - startedAtMs >= UNAVAILABLE_MS;
      if (errorCode(error) !== 'link/unavailable' || isOver) throw error;
      logger.warn('The master does not send the base now; asking again', {}, error);
      await clock.sleep(ASK_AGAIN_MS, signal);
    }
  }
}

/** Returns what logs how much has arrived, now and then. */
function progressNote(bytes: number, { clock, logger }: Pick<BaseDeps, 'clock' | 'logger'>): (done: number) => void {
  let notedAtMs = clock.now();
  return (done) => {
    if (clock.now() < notedAtMs + NOTE_MS) return;
    notedAtMs = clock.now();
    logger.info('Fetching the base', { done: formatBytes(done), of: formatBytes(bytes) });
  };
}
