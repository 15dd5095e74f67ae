/** Looks up the sizes of data sets for the board, so that nodes see what a job involves. */
import type { JobId } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { describeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Store } from '../store/open';

interface SizesDeps {
  store: Pick<Store, 'board'>;
  /** Returns the bytes of a data set without fetching it. Throws if the size is not available. */
  sizeOf(reference: string): Promise<number>;
  clock: Clock;
  logger: Logger;
}

const PAUSE_MS = 10_000;
/** Jobs per pass. Jobs with the same data set share one lookup. */
const JOBS_PER_PASS = 50;
const AT_ONCE = 4;
/** A failed lookup is repeated after this time. */
const RETRY_MS = 10 * 60_000;

/**
 * Looks up the sizes of the newest jobs' data sets, a few at a time, until the signal. Requesters choose the
 * references, so a failed lookup is stored, not repeated for a while, and delays no other job.
 */
export async function watchSizes(deps: SizesDeps, signal: AbortSignal): Promise<void> {
  const { clock, logger } = deps;
  // Servers may take minutes to answer; stopping does not wait for them.
  const stopped = new Promise<false>((resolve) => signal.addEventListener('abort', () => resolve(false)));
  while (!signal.aborted) {
    const looking = lookUpSome(deps, signal).catch((error: unknown) => {
      logger.warn('Sizes of data sets could not be looked up; trying again', {}, error);
      return false;
    });
    const hasMore = await Promise.race([looking, stopped]);
    if (!hasMore) await clock.sleep(PAUSE_MS, signal).catch(() => undefined);
  }
}

/** Returns true when there may be more to look up. */
async function lookUpSome(deps: SizesDeps, signal: AbortSignal): Promise<boolean> {
  const jobs = await deps.store.board.unsized(JOBS_PER_PASS, deps.clock.now() - RETRY_MS);
  const jobsOf = new Map<string, JobId[]>();
  for (const { jobId, dataset } of jobs) jobsOf.set(dataset, [...(jobsOf.get(dataset) ?? []), jobId]);
  const waiting = [...jobsOf];
  const work = async () => {
    for (let next = waiting.shift(); next && !signal.aborted; next = waiting.shift())
      await lookUp(...next, deps, signal);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return jobs.length === JOBS_PER_PASS;
}

async function lookUp(
  reference: string,
  jobIds: readonly JobId[],
  { store, sizeOf, clock, logger }: SizesDeps,
  signal: AbortSignal,
): Promise<void> {
  const bytes = await sizeOf(reference).catch((error: unknown) => {
    logger.debug('Size of a data set is unknown', { reference, reason: describeError(error) });
    return 0;
  });
  if (signal.aborted) return;
  // A server that does not give the size counts as 0 bytes.
  await store.board.saveSize(jobIds, bytes > 0 ? bytes : undefined, clock.now());
}
