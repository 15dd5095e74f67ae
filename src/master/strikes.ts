/** Faults of workers, and what too many of them in one job lead to. */
import type { Address } from '../domain/ids';
import type { JobContext } from './job-context';
import { dismissMember } from './members';

/** Rejected updates after which a worker is taken off the job. */
const MAX_STRIKES = 3;

/**
 * Counts a fault of a worker, and takes it off the job when there have been too many in this one: over the
 * years, every honest worker meets with a few. Operators see them all.
 */
export async function strike(job: JobContext, worker: Address, reason: string): Promise<void> {
  const strikes = (job.strikes.get(worker) ?? 0) + 1;
  job.strikes.set(worker, strikes);
  const everStrikes = await job.deps.store.workers.addStrike(worker, reason);
  job.deps.logger.warn('Update rejected', { worker, reason, strikes, everStrikes });
  if (strikes < MAX_STRIKES) return;
  dismissMember(job, worker, `${strikes} updates were rejected, the last because ${reason}`);
}
