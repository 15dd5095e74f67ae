/** Splits withdrawals and claims into transactions that fit into a block. */
import type { JobId } from '../../domain/ids';
import type { Claim, Collected } from './emeth';

/** One transaction of a withdrawal that may be too large for one. */
export interface WithdrawalPart {
  /** Amount that becomes tokens: everything collected here and, in the last part, the credit from before. */
  amountWei: bigint;
  collected: Collected;
}

/** Pay of a job of this node that was not claimed in time. */
export interface Sweep {
  jobId: JobId;
  amountWei: bigint;
}

/**
 * Measured on anvil, each claim from another job: 39,500 gas with one hash in its proof, 46,000 with ten (a
 * thousand workers); a day takes 11,000. So full parts take about 3.5 and 2.8 million, and stay below five
 * million with the fifth that is added to an estimate, which leaves room for others in the block. 75 claims
 * are 50 kB with ten hashes and 75 kB with twenty; Ethereum nodes accept up to 128 kB.
 */
const CLAIMS_PER_PART = 75;
const SLOTS_PER_PART = 250;

/**
 * Returns the transactions that withdraw the credit and everything collectable, in order; none if that is
 * zero.
 */
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

/** Returns the claims of each transaction. */
export function cutClaims(claims: readonly Claim[]): Claim[][] {
  return cut(claims, CLAIMS_PER_PART);
}

/** Returns the days of each transaction to the reward pool. */
export function cutSlots(slots: readonly number[]): number[][] {
  return cut(slots, SLOTS_PER_PART);
}

function cut<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
