/** Whether a job comes to its end in time, by the pace of its last rounds: rules over times and blocks. */

/** How much was merged when training began, and after each fold. */
export interface Milestone {
  atMs: number;
  mergedBlocks: number;
}

interface Goal {
  totalBlocks: number;
  deadlineMs: number;
  /** Time kept free for what comes after the last block. */
  finishMs: number;
}

/** A job is late only when this much more time is needed than is left. */
const MARGIN = 1.1;
/** A pace that still grows by this factor from round to round says nothing of the next one. */
const GROWTH = 1.2;
/** Trouble in one round is not the end: a fold this much later than the last is. */
const OVERDUE = 2;
const OVERDUE_MS = 30_000;

/** True when each of the last two rounds says that the job cannot be done in time. */
export function isLate(milestones: readonly Milestone[], goal: Goal): boolean {
  const [first, second, third] = milestones.slice(-3);
  if (!first || !second || !third) return false;
  if (paceOf(second, third) > GROWTH * paceOf(first, second)) return false;
  return isLateAt(first, second, goal) && isLateAt(second, third, goal);
}

/** True when nothing speaks against the job being done in time; without a round, when it has just begun. */
export function isPromising(milestones: readonly Milestone[], goal: Goal, nowMs: number): boolean {
  const [before, last] = milestones.slice(-2);
  if (!before || !last) return nowMs - (before?.atMs ?? nowMs) < 2 * OVERDUE_MS;
  if (last.mergedBlocks >= goal.totalBlocks) return true;
  const sinceMs = nowMs - last.atMs;
  if (sinceMs > OVERDUE * (last.atMs - before.atMs) + OVERDUE_MS) return false;
  return neededMs(before, last, goal) - sinceMs <= goal.deadlineMs - nowMs;
}

/** Returns how long the job still needs after a fold, at the pace of its round. */
export function neededMs(before: Milestone, after: Milestone, { totalBlocks, finishMs }: Goal): number {
  return (totalBlocks - after.mergedBlocks) / paceOf(before, after) + finishMs;
}

function isLateAt(before: Milestone, after: Milestone, goal: Goal): boolean {
  return neededMs(before, after, goal) > MARGIN * (goal.deadlineMs - after.atMs);
}

/** Blocks per millisecond. */
function paceOf(before: Milestone, after: Milestone): number {
  return Math.max(0, after.mergedBlocks - before.mergedBlocks) / Math.max(1, after.atMs - before.atMs);
}
