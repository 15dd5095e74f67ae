/** The payout tree checked against OpenZeppelin's own verification, over random lists of shares. */
import { StandardMerkleTree } from '@openzeppelin/merkle-tree';
import fc from 'fast-check';
import { buildPayouts } from '../../../../src/chain/acts/payouts';
import { Address } from '../../../../src/domain/ids';

const LEAF = ['uint256', 'address', 'uint256'];
const address = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((b) => Address.parse(`0x${Buffer.from(b).toString('hex')}`));
const shares = fc
  .array(fc.record({ worker: address, amountWei: fc.bigInt(0n, 2n ** 96n - 1n) }), { minLength: 1, maxLength: 40 })
  .map((list) => list.map((share, index) => ({ ...share, index })));

describe('buildPayouts', () => {
  test('any share list: each index proves its own share and no greater one', () => {
    fc.assert(
      fc.property(shares, (list) => {
        const { root, proofOf } = buildPayouts(list);
        for (const { index, worker, amountWei } of list) {
          const proof = proofOf(index);
          expect(StandardMerkleTree.verify(root, LEAF, [index, worker, amountWei], proof)).toBe(true);
          expect(StandardMerkleTree.verify(root, LEAF, [index, worker, amountWei + 1n], proof)).toBe(false);
          expect(StandardMerkleTree.verify(root, LEAF, [index + 1, worker, amountWei], proof)).toBe(false);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('a share removed or an amount raised: another root', () => {
    fc.assert(
      fc.property(shares, (list) => {
        const { root } = buildPayouts(list);
        expect(buildPayouts(list).root).toBe(root);
        const [first, ...rest] = list;
        if (!first) return;
        expect(buildPayouts([{ ...first, amountWei: first.amountWei + 1n }, ...rest]).root).not.toBe(root);
        if (rest.length > 0) expect(buildPayouts(rest).root).not.toBe(root);
      }),
      { numRuns: 50 },
    );
  });
});
