/** What a job knows of its own prospects; lost at a restart, after which it learns them again. */
import type { Milestone } from '../domain/pace';

export interface Reach {
  readonly milestones: Milestone[];
  /** From the request to the deadline, a job needs so much for the contract to open it again. */
  minWorkMs: number;
  /** Since when no worker could do the job. */
  unservedSinceMs?: number | undefined;
  /** The last moment to give it back cheaply is over, and it was kept. */
  isKept: boolean;
}

/** How long giving a job back may take to be mined. */
const MINE_MS = 30_000;
/** The term that deployments start with; the chain is asked for its own. */
const MIN_WORK_MS = 60_000;

export function openReach(nowMs: number, mergedBlocks: number): Reach {
  return { milestones: [{ atMs: nowMs, mergedBlocks }], minWorkMs: MIN_WORK_MS, isKept: false };
}

/** Returns when a job must have been given back, if others are to have it. */
export function cheapUntilMs(job: { deadlineMs: number; reach?: Pick<Reach, 'minWorkMs'> | undefined }): number {
  return job.deadlineMs - (job.reach?.minWorkMs ?? MIN_WORK_MS) - MINE_MS;
}
