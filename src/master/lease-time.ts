/** How long a worker gets for a lease. */
import type { Address } from '../domain/ids';
import type { JobContext } from './job-context';
import { announcedOf, standingOf } from './standings';

/** The least time of any lease: starting a child and asking for a blob take some of it. */
const LEAST_MS = 5000;

/**
 * Returns twice the time that the blocks should take by the measured speed, transfers included, but at least
 * 5 s; before this job has measured the speed at least `leaseMs`.
 */
export function allowedMs(job: JobContext, worker: Address, blocks: number): number {
  const { blocksPerSecond, isMeasuredHere } = standingOf(job, worker);
  const expectedMs = (1000 * blocks) / (blocksPerSecond ?? announcedOf(job, worker));
  const leastMs = isMeasuredHere ? LEAST_MS : job.settings.leaseMs;
  return Math.ceil(Math.max(leastMs, 2 * (expectedMs + transferMs(job, worker))));
}

/** Weights to the worker and an update back, each of at most 4 bytes a parameter. */
function transferMs(job: JobContext, worker: Address): number {
  const traffic = job.deps.fleet.peer(worker)?.traffic;
  const known = [traffic?.sent.bytesPerSecond, traffic?.received.bytesPerSecond].filter((rate) => rate !== undefined);
  const seconds = known.reduce((sum, rate) => sum + (4 * job.plan.parameters) / rate, 0);
  return 1000 * (known.length === 1 ? 2 * seconds : seconds);
}
