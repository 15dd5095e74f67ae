/** Keeps the standings of a job's workers: their speed by this master's clock, and their leases. */
import type { Address } from '../domain/ids';
import { muonParameters } from '../domain/job-fit';
import type { Candidate } from '../domain/lease-plan';
import { probeParameters } from '../domain/probe';
import {
  afterAccepted,
  afterLost,
  announcedSpeed,
  blockFlops,
  isNew,
  isProven,
  isUnreliable,
  openStanding,
  probeBlocks,
  type Standing,
} from '../domain/standing';
import type { JobContext } from './job-context';
import { sizeOfPlan } from './plan';
import type { LiveLease } from './round-state';

/** A worker's own seconds may differ by this part from the measured ones before it is noted. */
const NOTED_GAP = 0.3;

/** Opens the standing of a worker that joins, from what is known of it from earlier jobs. */
export async function readStanding(job: JobContext, worker: Address): Promise<Standing> {
  const known = await job.deps.store.workers.findRecord(worker);
  return openStanding(known, { flops: flopsOf(job), probe: probeOf(job, worker) });
}

/** Returns the standing of a worker that has joined. */
export function standingOf(job: JobContext, worker: Address): Standing {
  const standing = job.standings.get(worker);
  if (!standing) throw new Error(`Worker ${worker} never joined job ${job.jobId}`);
  return standing;
}

/** Returns what decides about a worker's share of the next round. */
export function candidateOf(job: JobContext, worker: Address): Candidate {
  const standing = standingOf(job, worker);
  return {
    measured: standing.blocksPerSecond,
    announced: announcedOf(job, worker),
    limit: standing.limit,
    isProven: isProven(standing),
    isNew: isNew(standing),
  };
}

/** Returns the blocks per second that are taken for granted of what the worker announces. */
export function announcedOf(job: JobContext, worker: Address): number {
  return announcedSpeed(job.deps.fleet.capacityOf(worker)?.gflops ?? 0, flopsOf(job));
}

/**
 * Measures the seconds of training of a lease that is committed now: the time since its grant, less that of
 * the blobs which went to the worker meanwhile, at the best rate its link was seen to have. At most half of
 * the time is taken for transfers, however slowly a worker pulls. Undefined when the worker was away, which
 * delays its commit.
 */
export function measureSeconds(job: JobContext, lease: LiveLease, atMs: number): number | undefined {
  if (lease.wasAway || lease.sentBefore === undefined) return undefined;
  const elapsed = Math.max(atMs - lease.grantedAtMs, 1) / 1000;
  const traffic = job.deps.fleet.peer(lease.worker)?.traffic;
  const rate = traffic?.sent.bytesPerSecond ?? traffic?.received.bytesPerSecond;
  if (!traffic || rate === undefined) return elapsed;
  return elapsed - Math.min(elapsed / 2, Math.max(0, traffic.sent.bytes - lease.sentBefore) / rate);
}

/** Counts a lease whose update passed the gate, and remembers the speed beyond this job. */
export async function countAccepted(job: JobContext, lease: LiveLease): Promise<void> {
  const { worker, seconds } = lease;
  const blocks = lease.end - lease.start;
  const standing = afterAccepted(standingOf(job, worker), { blocks, seconds });
  job.standings.set(worker, standing);
  noteGap(job, lease);
  const { isMeasuredHere, blocksPerSecond = 0 } = standing;
  const gflops = isMeasuredHere ? (blocksPerSecond * flopsOf(job)) / 1e9 : undefined;
  await job.deps.store.workers.addAccepted(worker, gflops);
  if (seconds !== undefined) await recordRound(job, worker, blocks / seconds);
}

/** Notes that a lease of the worker was done again, and came out the same. */
export function noteAudited(job: JobContext, worker: Address): void {
  const standing = job.standings.get(worker);
  if (standing) job.standings.set(worker, { ...standing, isAudited: true });
}

/**
 * Counts a lease that came to nothing. Returns true when the worker has lost too many to keep the job; the
 * next job then begins with a probe.
 */
export async function countLost(job: JobContext, worker: Address): Promise<boolean> {
  const before = job.standings.get(worker);
  if (!before) return false; // since a restart of this master the worker never came back
  const standing = afterLost(before, probeOf(job, worker));
  job.standings.set(worker, standing);
  if (!isUnreliable(standing)) return false;
  await job.deps.store.workers.forgetSpeed(worker);
  return true;
}

/** Of a model smaller than the smallest probe, the time of a step says little about the device. */
async function recordRound(job: JobContext, worker: Address, blocksPerSecond: number): Promise<void> {
  const { plan, deps } = job;
  if (plan.parameters < probeParameters('S')) return;
  const { layers, width } = sizeOfPlan(plan);
  const gflops = (blocksPerSecond * flopsOf(job)) / 1e9;
  const about = { worker, atMs: deps.clock.now(), source: 'round', shape: `${layers}x${width}` } as const;
  await deps.fleet.recordMeasurement({ ...about, gflops, isOk: true, detail: `job ${job.jobId}` });
}

function noteGap(job: JobContext, { leaseId, worker, seconds, work }: LiveLease): void {
  if (seconds === undefined || !work) return;
  if (Math.abs(work.seconds - seconds) <= NOTED_GAP * seconds) return;
  const facts = { leaseId, worker, measuredSeconds: rounded(seconds), claimedSeconds: rounded(work.seconds) };
  job.deps.logger.info('Worker claims another time than was measured', facts);
}

function probeOf(job: JobContext, worker: Address): number {
  return probeBlocks(announcedOf(job, worker), job.plan.params.round.steps);
}

function flopsOf({ plan }: JobContext): number {
  const { blockTokens } = plan.prepared;
  return blockFlops({ parameters: plan.parameters + muonParameters(sizeOfPlan(plan), blockTokens), blockTokens });
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
