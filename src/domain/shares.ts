/** How a job's pay is split between its node and its workers. */
import { workerPoolOf } from './fuel';
import type { Address } from './ids';
import { byAddress } from './order';

export interface Share {
  index: number;
  worker: Address;
  amountWei: bigint;
  /** Tokens of this worker merged into the model; 0 for the node's own leaf. */
  tokens: number;
}

/**
 * Splits a job's pay. Leaf 0 is the node: its commission and what rounding leaves; then every worker in
 * address order, paid by the tokens it really had merged. The amounts add up to `payoutWei` exactly.
 */
export function shareOut(options: {
  payoutWei: bigint;
  node: Address;
  /** The node's part, in basis points. */
  commissionBps: number;
  tokens: ReadonlyMap<Address, number>;
}): Share[] {
  const { payoutWei, node, commissionBps, tokens } = options;
  const workers = [...tokens].filter(([, count]) => count > 0).sort(([a], [b]) => byAddress(a, b));
  const totalTokens = workers.reduce((sum, [, count]) => sum + BigInt(count), 0n);
  const pool = workerPoolOf(payoutWei, commissionBps);
  const paid = workers.map(([worker, count], i) => ({
    index: i + 1,
    worker,
    amountWei: (pool * BigInt(count)) / totalTokens,
    tokens: count,
  }));
  const toWorkers = paid.reduce((sum, share) => sum + share.amountWei, 0n);
  return [{ index: 0, worker: node, amountWei: payoutWei - toWorkers, tokens: 0 }, ...paid];
}
