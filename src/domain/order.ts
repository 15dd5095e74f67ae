/** The one order of workers, on which floating-point sums and payout trees depend. */
import type { Address } from './ids';

/** Sorts addresses ascending. */
export function byAddress(a: Address, b: Address): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * Sorts leases as a fold sums their updates: by worker, then by first block. Another order gives other bits.
 */
export function inFoldOrder(a: FoldedLease, b: FoldedLease): number {
  return byAddress(a.worker, b.worker) || a.start - b.start;
}

interface FoldedLease {
  worker: Address;
  start: number;
}
