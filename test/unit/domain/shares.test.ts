/** How pay is split, to the last wei. */
import fc from 'fast-check';
import { Address } from '../../../src/domain/ids';
import { shareOut } from '../../../src/domain/shares';

const address = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const node = address(0xff);

describe('shareOut', () => {
  test('two workers: the node keeps its commission, they share the rest by tokens', () => {
    const tokens = new Map([
      [address(2), 300],
      [address(1), 100],
    ]);
    const shares = shareOut({ payoutWei: 1000n, node, commissionBps: 1000, tokens });
    expect(shares).toEqual([
      { index: 0, worker: node, amountWei: 100n, tokens: 0 },
      { index: 1, worker: address(1), amountWei: 225n, tokens: 100 },
      { index: 2, worker: address(2), amountWei: 675n, tokens: 300 },
    ]);
  });

  test('any amounts: shares add up to the last wei, and never favour fewer tokens', () => {
    const tokenCounts = fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 0, maxLength: 20 });
    const bps = fc.integer({ min: 0, max: 10_000 });
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 96n - 1n }), bps, tokenCounts, (payoutWei, commissionBps, counts) => {
        const tokens = new Map(counts.map((count, i) => [address(i + 1), count]));
        const shares = shareOut({ payoutWei, node, commissionBps, tokens });
        expect(shares.reduce((sum, share) => sum + share.amountWei, 0n)).toBe(payoutWei);
        expect(shares.every((share) => share.amountWei >= 0n)).toBe(true);
        const byTokens = shares.slice(1).sort((a, b) => a.tokens - b.tokens);
        byTokens.forEach((share, i) => {
          const next = byTokens[i + 1];
          if (next) expect(next.amountWei >= share.amountWei).toBe(true);
        });
      }),
    );
  });
});
