import type { JobId } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { describeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Store } from '../store/open';

interface SizesDeps {
  store: Pick<Store, 'board'>;
  /** Bytes of a data set, without fetching it. Throws when they cannot be had. */
  sizeOf(reference: string): Promise<number>;
  clock: Clock;
  logger: Logger;
}

const LOOK_MS = 10_000;
/** Jobs in one look. Many may name the same data set, which is asked for once. */
const JOBS_A_LOOK = 50;
const AT_ONCE = 4;
/** A server that did not tell is asked again after so long. */
const FORGET_MS = 10 * 60_000;

/**
 * Looks up how large the data sets of the newest jobs are, a few at a time, until the signal: whoever wants to take a job wants to
 * know. Requesters choose the references, so what fails is noted and left alone for a while, and keeps no other job waiting.
 */
export async function watchSizes(deps: SizesDeps, signal: AbortSignal): Promise<void> {
  const { clock, logger } = deps;
  // Servers may take minutes to answer; whoever stops does not wait for them.
  const stopped = new Promise<false>((resolve) => signal.addEventListener('abort', () => resolve(false)));
  while (!signal.aborted) {
    const looking = lookUpSome(deps, signal).catch((error: unknown) => {
      logger.warn('Sizes of data sets could not be looked up; trying again', {}, error);
      return false;
    });
    const hasMore = await Promise.race([looking, stopped]);
    if (!hasMore) await clock.sleep(LOOK_MS, signal).catch(() => undefined);
  }
}

/** True when there may be more to look up. */
async function lookUpSome(deps: SizesDeps, signal: AbortSignal): Promise<boolean> {
  const jobs = await deps.store.board.unsized(JOBS_A_LOOK, deps.clock.now() - FORGET_MS);
  const jobsOf = new Map<string, JobId[]>();
  for (const { jobId, dataset } of jobs) jobsOf.set(dataset, [...(jobsOf.get(dataset) ?? []), jobId]);
  const waiting = [...jobsOf];
  const work = async () => {
    for (let next = waiting.shift(); next && !signal.aborted; next = waiting.shift())
      await lookUp(...next, deps, signal);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return jobs.length === JOBS_A_LOOK;
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
  // Some servers do not say, which reads as nothing.
  await store.board.saveSize(jobIds, bytes > 0 ? bytes : undefined, clock.now());
}
