/** Faults of workers: counted in the store for life, and what too many of them lead to. */
import type { Address } from '../domain/ids';
import type { JobContext } from './job-context';
import { dismissMember } from './members';

/** Rejected updates after which a worker is taken off the job. */
const MAX_STRIKES = 3;

/** Counts a fault of a worker, and takes the worker off the job when there have been too many. */
export async function strike(job: JobContext, worker: Address, reason: string): Promise<void> {
  const strikes = await job.deps.store.workers.addStrike(worker, reason);
  job.deps.logger.warn('Update rejected', { worker, reason, strikes });
  if (strikes < MAX_STRIKES) return;
  dismissMember(job, worker, `${strikes} updates were rejected, the last because ${reason}`);
}
