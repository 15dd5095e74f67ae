/** The learning rate at every position, as a worker's child computes it (`python/emeth/rounds/train.py`). */

/** What of a job's parameters makes its schedule. */
export interface ScheduleParams {
  lr: number;
  minLrRatio: number;
  warmup: number;
}

/** Steps over which the rate rises from nothing at the start of a round. */
const ROUND_WARMUP_STEPS = 10;

/** The job-wide schedule: a linear rise, then half a cosine down to `minLrRatio`. */
export function learningRate(inner: ScheduleParams, position: number, total: number): number {
  const done = (position + 1) / total;
  if (done < inner.warmup) return (inner.lr * done) / inner.warmup;
  const cosine = 0.5 * (1 + Math.cos(Math.PI * Math.min(1, (done - inner.warmup) / (1 - inner.warmup))));
  return inner.lr * (inner.minLrRatio + (1 - inner.minLrRatio) * cosine);
}

/** The factor on the rate at a step of a round. */
export function roundWarmup(step: number, steps: number): number {
  return Math.min(1, (step + 1) / Math.max(1, Math.min(ROUND_WARMUP_STEPS, Math.floor(steps / 5))));
}

/** Sums the rates of a lease's steps. */
export function sumOfRates(inner: ScheduleParams, lease: { start: number; end: number }, total: number): number {
  const steps = lease.end - lease.start;
  let sum = 0;
  for (let step = 0; step < steps; step++) {
    sum += learningRate(inner, lease.start + step, total) * roundWarmup(step, steps);
  }
  return sum;
}
