/** When a worker is measured again. */
import { lastProbe, type Measurement, medianOf } from '../domain/power';

/** A good probe counts this long. */
const VALID_MS = 7 * 24 * 3_600_000;
/** Rounds that must agree before they contradict a probe, and by how much they must. */
const ROUNDS = 3;
const DISAGREEMENT = 0.3;
/** At least so long between two probes; and a probe may take a hundredth of a worker's time. */
const REST_MS = 600_000;
const RESTS = 100;

/** Returns whether a worker that nobody asks about should be probed. */
export function isDue(measurements: readonly Measurement[], nowMs: number): boolean {
  const probe = lastProbe(measurements);
  if (!probe?.isOk || nowMs - probe.atMs > VALID_MS) return true;
  const since = measurements.filter(({ source, atMs }) => source === 'round' && atMs > probe.atMs).slice(-ROUNDS);
  const median = medianOf(since.map(({ gflops }) => gflops));
  if (median === undefined || since.length < ROUNDS) return false;
  return Math.abs(median - probe.gflops) > DISAGREEMENT * probe.gflops;
}

/** Returns for how long a worker is left alone after a probe that took so long. */
export function restAfter(tookMs: number): number {
  return Math.max(REST_MS, RESTS * tookMs);
}
