import type { JobId } from '../domain/ids';
import type { Claim, Collected } from './emeth';

/** What one transaction does of a withdrawal that may be too large for one. */
export interface WithdrawalPart {
  /** What becomes tokens: all that is collected here; in the last part, the credit that was there before too. */
  amountWei: bigint;
  collected: Collected;
}

/** Pay that nobody claimed in time, of a job of this node. */
export interface Sweep {
  jobId: JobId;
  amountWei: bigint;
}

/*
 * Measured: a claim takes 39,500 gas with one hash in its proof and 46,000 with ten, a day 11,000. So a full part takes 3.5 million and 2.8
 * million, and with the fifth that is allowed on top of an estimate less than five: it finds room in any block, and not only in an
 * empty one. Its 70 kB are also less than the 128 kB that Ethereum nodes take.
 */
const CLAIMS_PER_PART = 75;
const SLOTS_PER_PART = 250;

/** The transactions that take out the credit and all that can be collected, in order; none if that is nothing. */
export function cutWithdrawal(creditWei: bigint, claims: readonly Claim[], sweeps: readonly Sweep[]): WithdrawalPart[] {
  const collectable = [
    ...claims.map((claim) => ({ claim, amountWei: claim.share.amountWei })),
    ...sweeps.map((sweep) => ({ sweep: sweep.jobId, amountWei: sweep.amountWei })),
  ];
  const parts = cut(collectable, CLAIMS_PER_PART).map((part) => ({
    amountWei: part.reduce((sum, { amountWei }) => sum + amountWei, 0n),
    collected: {
      claims: part.flatMap((item) => ('claim' in item ? item.claim : [])),
      sweeps: part.flatMap((item) => ('sweep' in item ? item.sweep : [])),
    },
  }));
  const last = parts.at(-1);
  if (last) last.amountWei += creditWei;
  else if (creditWei > 0n) parts.push({ amountWei: creditWei, collected: { claims: [], sweeps: [] } });
  return parts;
}

/** The days of each transaction to the reward pool. */
export function cutSlots(slots: readonly number[]): number[][] {
  return cut(slots, SLOTS_PER_PART);
}

function cut<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
