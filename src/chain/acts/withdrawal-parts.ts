import type { JobId } from '../../domain/ids';
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
 * Measured on anvil, each claim of another job: 39,500 gas with one hash in its proof, 46,000 with ten (a thousand workers); a day takes
 * 11,000. So full parts take some 3.5 and 2.8 million, and stay below five with the fifth that is allowed on top of an estimate: they
 * find room in a block beside others. 75 claims are 50 kB with ten hashes and 75 kB with twenty; Ethereum nodes take up to 128 kB.
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

/** The claims of each transaction. */
export function cutClaims(claims: readonly Claim[]): Claim[][] {
  return cut(claims, CLAIMS_PER_PART);
}

/** The days of each transaction to the reward pool. */
export function cutSlots(slots: readonly number[]): number[][] {
  return cut(slots, SLOTS_PER_PART);
}

function cut<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
