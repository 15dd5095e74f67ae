import type { Address } from './ids';

export interface Share {
  index: number;
  worker: Address;
  amountWei: bigint;
  /** Tokens of this party merged into the model; 0 for the node's own leaf. */
  tokens: number;
}

/**
 * What the job pays: the part of the fee that the fuel used has earned, in wei, rounded down as the contract does.
 */
export function earnedWei(feeWei: bigint, fuelUsed: bigint, fuelLimit: bigint): bigint {
  return (feeWei * fuelUsed) / fuelLimit;
}

/**
 * Splits a job's pay. Leaf 0 is the node: its commission and what rounding leaves; then every worker in address order,
 * paid by the tokens it really had merged. The amounts add up to `payoutWei` exactly.
 */
export function shareOut(options: {
  payoutWei: bigint;
  node: Address;
  /** The node's part, in basis points. */
  commissionBps: number;
  tokens: ReadonlyMap<Address, number>;
}): Share[] {
  const { payoutWei, node, commissionBps, tokens } = options;
  const workers = [...tokens].filter(([, count]) => count > 0).sort(([a], [b]) => (a < b ? -1 : 1));
  const totalTokens = workers.reduce((sum, [, count]) => sum + BigInt(count), 0n);
  const pool = payoutWei - (payoutWei * BigInt(commissionBps)) / 10_000n;
  const paid = workers.map(([worker, count], i) => ({
    index: i + 1,
    worker,
    amountWei: (pool * BigInt(count)) / totalTokens,
    tokens: count,
  }));
  const toWorkers = paid.reduce((sum, share) => sum + share.amountWei, 0n);
  return [{ index: 0, worker: node, amountWei: payoutWei - toWorkers, tokens: 0 }, ...paid];
}
