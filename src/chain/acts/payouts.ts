/** The Merkle tree of payouts that a result commits to. */
import { StandardMerkleTree } from '@openzeppelin/merkle-tree';
import type { Share } from '../../domain/shares';

const LEAF = ['uint256', 'address', 'uint256'];

/**
 * Returns the root that `submit` commits to and the proof of each index: OpenZeppelin's standard tree over
 * (index, worker, amount).
 */
export function buildPayouts(shares: readonly Pick<Share, 'index' | 'worker' | 'amountWei'>[]): {
  root: string;
  proofOf(index: number): string[];
} {
  const tree = StandardMerkleTree.of(
    shares.map(({ index, worker, amountWei }) => [index, worker, amountWei]),
    LEAF,
  );
  return { root: tree.root, proofOf: (index) => tree.getProof(index) };
}
