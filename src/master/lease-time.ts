/** How long a worker gets for a lease. */
import type { Address } from '../domain/ids';
import type { JobContext } from './job-context';
import { sizeOfPlan } from './plan';
import { announcedOf, standingOf } from './standings';

/**
 * Returns twice the time that the blocks should take by the measured speed, transfers included, but at least
 * `leaseMs`: a child that is started again, or a busy machine, must not cost an honest worker its lease.
 */
export function allowedMs(job: JobContext, worker: Address, blocks: number): number {
  const { blocksPerSecond } = standingOf(job, worker);
  const expectedMs = (1000 * blocks) / (blocksPerSecond ?? announcedOf(job, worker));
  return Math.ceil(Math.max(job.settings.leaseMs, 2 * (expectedMs + transferMs(job, worker))));
}

/** Weights to the worker and an update back, each of at most 4 bytes a trained number. */
function transferMs(job: JobContext, worker: Address): number {
  const { trainable } = sizeOfPlan(job.plan);
  const traffic = job.deps.fleet.peer(worker)?.traffic;
  const known = [traffic?.sent.bytesPerSecond, traffic?.received.bytesPerSecond].filter((rate) => rate !== undefined);
  const seconds = known.reduce((sum, rate) => sum + (4 * trainable) / rate, 0);
  return 1000 * (known.length === 1 ? 2 * seconds : seconds);
}
