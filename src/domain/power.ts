/** How fast a worker counts as: what was measured of it, and what is believed of one that was not. */
import type { Address } from './ids';

/** One measurement of a worker's training speed, by this master's clock. */
export interface Measurement {
  worker: Address;
  atMs: number;
  /** A probe, or a lease of a job. */
  source: 'probe' | 'round';
  /** What was trained: the shape of the probe, or that of the job's model. */
  shape: string;
  gflops: number;
  /** False after a probe that was answered wrongly, or not at all. */
  isOk: boolean;
  detail?: string | undefined;
}

/** A lease is long and real work, a probe short and made up. */
const WEIGHTS = { probe: 1, round: 4 } as const;
/** Measurements that count. */
export const LAST_MEASUREMENTS = 8;
/** A worker may be this much faster than it was measured. */
const HEADROOM = 1.1;
/** An unmeasured worker may be this much faster than the measured ones with the same devices. */
const PEER_HEADROOM = 3;
/** The part of its announcement that is believed of a worker whose devices nobody else has. */
const UNKNOWN_DEVICE = 0.2;

/**
 * Returns a worker's measured speed from its measurements, oldest first: the weighted median of the last
 * eight good ones, 0 while its last probe was not good, undefined before the first measurement.
 */
export function measuredGflops(measurements: readonly Measurement[]): number | undefined {
  if (lastProbe(measurements)?.isOk === false) return 0;
  const good = measurements.filter(({ isOk }) => isOk).slice(-LAST_MEASUREMENTS);
  return weightedMedian(good.map(({ gflops, source }) => ({ value: gflops, weight: WEIGHTS[source] })));
}

interface KnownSpeed {
  measured: number | undefined;
  /** The median of the measured workers with the same devices. */
  peers: number | undefined;
}

/** Returns the speed that decides about a worker: its announcement, as far as it is believed. */
export function gflopsInForce(announced: number, known: KnownSpeed): number {
  const isUnknown = known.measured === undefined && known.peers === undefined;
  return isUnknown ? UNKNOWN_DEVICE * announced : cappedGflops(announced, known);
}

/** Returns an announcement without what measurements speak against. */
export function cappedGflops(announced: number, { measured, peers }: KnownSpeed): number {
  if (measured !== undefined) return Math.min(announced, HEADROOM * measured);
  return peers === undefined ? announced : Math.min(announced, PEER_HEADROOM * peers);
}

/** Returns the last probe among measurements, oldest first. */
export function lastProbe(measurements: readonly Measurement[]): Measurement | undefined {
  return measurements.findLast(({ source }) => source === 'probe');
}

/** Returns the middle value, the lower one of two; undefined of nothing. */
export function medianOf(values: readonly number[]): number | undefined {
  return weightedMedian(values.map((value) => ({ value, weight: 1 })));
}

function weightedMedian(items: readonly { value: number; weight: number }[]): number | undefined {
  const sorted = [...items].sort((a, b) => a.value - b.value);
  const half = sorted.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let below = 0;
  return sorted.find(({ weight }) => {
    below += weight;
    return below >= half;
  })?.value;
}
