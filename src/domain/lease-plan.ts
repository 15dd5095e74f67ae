/** How many blocks each worker gets in a round, by its speed. */
import type { Address } from './ids';
import { byAddress } from './order';

/** A worker's measured (or, before its first round, announced) speed in any unit common to all of them. */
export type Speeds = ReadonlyMap<Address, number>;

/**
 * Plans how many blocks each worker gets in the next round. The round holds `steps` blocks per worker on
 * average, split by speed so that all finish together; the rest of the job is spread evenly over the
 * remaining rounds, so that the last one is not a stub. Workers whose share rounds to nothing are left out.
 */
export function planLeases(speeds: Speeds, steps: number, availableBlocks: number): Map<Address, number> {
  const workers = [...speeds].sort(([a], [b]) => byAddress(a, b));
  const total = workers.reduce((sum, [, speed]) => sum + speed, 0);
  if (workers.length === 0 || availableBlocks <= 0 || total <= 0) return new Map();

  const perRound = steps * workers.length;
  const roundsLeft = Math.max(1, Math.round(availableBlocks / perRound));
  const size = Math.min(availableBlocks, Math.ceil(availableBlocks / roundsLeft));

  // Cumulative rounding: the parts add up to `size` whatever the speeds are.
  const plan = new Map<Address, number>();
  let speedSoFar = 0;
  let given = 0;
  for (const [worker, speed] of workers) {
    speedSoFar += speed;
    const upTo = Math.round((size * speedSoFar) / total);
    if (upTo > given) plan.set(worker, upTo - given);
    given = upTo;
  }
  return plan;
}

/** Averages exponentially, so that a change of speed shows within about three rounds. */
export function smoothSpeed(before: number | undefined, measured: number): number {
  return before === undefined ? measured : 0.5 * before + 0.5 * measured;
}
