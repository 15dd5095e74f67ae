/** The order on which the bits of a fold and the leaves of a payout tree depend. */
import fc from 'fast-check';
import { Address } from '../../../src/domain/ids';
import { byAddress, inFoldOrder } from '../../../src/domain/order';

const address = (n: bigint) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const numbers = fc.bigInt({ min: 0n, max: 2n ** 160n - 1n });

test('byAddress, any two addresses: as the numbers they are', () => {
  const sameSign = (a: bigint, b: bigint) => {
    const expected = a === b ? 0 : a < b ? -1 : 1;
    expect(byAddress(address(a), address(b))).toBe(expected);
  };
  fc.assert(fc.property(numbers, numbers, sameSign));
});

test('inFoldOrder, two leases of one worker: by first block', () => {
  const leases = [
    { worker: address(2n), start: 0 },
    { worker: address(1n), start: 30 },
    { worker: address(1n), start: 4 },
  ];
  expect([...leases].sort(inFoldOrder)).toEqual([leases[2], leases[1], leases[0]]);
});

test('inFoldOrder, leases in any order: always the same sequence', () => {
  const leases = fc.uniqueArray(fc.record({ worker: numbers.map(address), start: fc.nat() }), {
    selector: ({ worker, start }) => `${worker}:${start}`,
  });
  fc.assert(
    fc.property(leases, (all) => {
      expect([...all].reverse().sort(inFoldOrder)).toEqual([...all].sort(inFoldOrder));
    }),
  );
});
