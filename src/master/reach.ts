/** Gives a job up while that is cheap: when it cannot be done in time, or by any of the workers. */
import { hasGained } from '../domain/gain';
import { isLate, isPromising, type Milestone, neededMs } from '../domain/pace';
import { AppError } from '../lib/errors';
import type { JobContext } from './job-context';
import { missingMemory } from './members';
import { cheapUntilMs } from './reach-state';

/** Time kept free before the deadline for the last evaluation, export and submission. */
export const FINISH_MS = 45_000;
/** How long a job may be without a worker that could do it. */
const UNSERVED_MS = 30_000;

export type ReachError =
  | { code: 'job/out-of-reach'; leftMs: number }
  | { code: 'job/no-worker'; dismissed: number }
  | { code: 'job/deadline-near'; deadlineMs: number };

/** Notes what is merged after a fold. */
export function noteMilestone({ reach, live, deps }: JobContext): void {
  reach.milestones.push({ atMs: deps.clock.now(), mergedBlocks: live.mergedBlocks });
}

/**
 * Throws `job/deadline-near` when no time is left to finish the job; before that, `job/out-of-reach` and
 * `job/no-worker` as long as another node can still have it. Returns how long the job may wait unlooked at.
 */
export function requireReach(job: JobContext): number {
  const nowMs = job.deps.clock.now();
  const leftMs = job.deadlineMs - FINISH_MS - nowMs;
  if (leftMs <= 0) throw deadlineNear(job);
  const cheapMs = cheapUntilMs(job) - nowMs;
  if (cheapMs < 0) return leftMs;
  requireWorker(job, nowMs);
  if (isWorthIt(job)) return leftMs;
  const goal = { totalBlocks: job.live.totalBlocks, deadlineMs: job.deadlineMs, finishMs: FINISH_MS };
  const { reach } = job;
  if (isLate(reach.milestones, goal)) throw outOfReach(job, nowMs, goal);
  if (cheapMs > 0) return Math.min(leftMs, cheapMs);
  const views = [reach.milestones, [...reach.milestones, presentOf(job, nowMs)]];
  const isKept = reach.isKept || views.some((milestones) => isPromising(milestones, goal, nowMs));
  if (!isKept) throw outOfReach(job, nowMs, goal);
  reach.isKept = true;
  return leftMs;
}

/**
 * True when what is merged may be submitted as it is. A verifier asks of a part what it asks of the whole:
 * that the loss fell.
 */
export function isWorthIt({ plan, live }: Pick<JobContext, 'plan' | 'live'>): boolean {
  const { params, startLoss: start } = plan;
  const { validationLoss: end } = live;
  return params.partial && end !== undefined && hasGained({ start, end }, params);
}

function requireWorker(job: JobContext, nowMs: number): void {
  const { reach, dismissed } = job;
  if (isServed(job)) reach.unservedSinceMs = undefined;
  else reach.unservedSinceMs ??= nowMs;
  if (reach.unservedSinceMs === undefined || nowMs - reach.unservedSinceMs < UNSERVED_MS) return;
  const last = [...dismissed.values()].at(-1) ?? 'their devices are too small for it';
  throw new AppError<ReachError>(
    { code: 'job/no-worker', dismissed: dismissed.size },
    `No worker of this node can do the job: ${last}; it is given back for another node.`,
  );
}

/** Nobody at all may come back any moment; workers that are here and cannot do the job stay what they are. */
function isServed(job: JobContext): boolean {
  const known = job.deps.fleet.view().map(({ address }) => address);
  if (known.length === 0 && job.dismissed.size === 0) return true;
  return known.some((worker) => !job.dismissed.has(worker) && missingMemory(job, worker) === 0);
}

/** What would be merged if the workers stopped now: a job may have no fold yet, and be nearly done. */
function presentOf({ jobId, live, deps }: JobContext, nowMs: number): Milestone {
  const steps = deps.fleet.view().map((worker) => (worker.jobId === jobId ? (worker.step ?? 0) : 0));
  return { atMs: nowMs, mergedBlocks: live.mergedBlocks + steps.reduce((sum, done) => sum + done, 0) };
}

function outOfReach(job: JobContext, nowMs: number, goal: Parameters<typeof neededMs>[2]): AppError<ReachError> {
  const leftMs = job.deadlineMs - nowMs;
  const [before, last] = job.reach.milestones.slice(-2);
  const needs = before && last ? Math.round(neededMs(before, last, goal) / 1000) : Number.POSITIVE_INFINITY;
  const pace = Number.isFinite(needs)
    ? `needs about ${needs} s more at the pace of its last round`
    : 'has no round done';
  return new AppError(
    { code: 'job/out-of-reach', leftMs },
    `The job ${pace}, and ${Math.round(leftMs / 1000)} s are left; it is given back while another node can have it.`,
  );
}

function deadlineNear({ deadlineMs }: JobContext): AppError<ReachError> {
  return new AppError(
    { code: 'job/deadline-near', deadlineMs },
    `The job cannot be finished before its deadline ${new Date(deadlineMs).toISOString()}; it is declined.`,
  );
}
