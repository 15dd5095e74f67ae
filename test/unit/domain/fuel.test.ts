/** The rules of fuel and pay, by example and against their definitions in exact fractions. */
import fc from 'fast-check';
import { countBlocks, earnedWei, fuelOf, partOf, workerPoolOf } from '../../../src/domain/fuel';

const amounts = fc.bigInt({ min: 0n, max: 2n ** 96n - 1n });
const shares = fc.integer({ min: 0, max: 10_000 });

test.each([
  ['two epochs', 2, 200],
  ['a quarter of an epoch', 0.25, 25],
  ['less than a block', 0.001, 1],
])('countBlocks, %s: rounded, at least one', (_name, epochs, blocks) => {
  expect(countBlocks(epochs, 100)).toBe(blocks);
});

test.each([
  ['below the limit', 5, 10n, 5n],
  ['at the limit', 10, 10n, 10n],
  ['above the limit', 11n, 10n, 10n],
  ['beyond what a number holds', 2n ** 70n, 2n ** 71n, 2n ** 70n],
])('fuelOf, %s: the smaller of tokens and limit', (_name, tokens, limit, fuel) => {
  expect(fuelOf(tokens, limit)).toBe(fuel);
});

test('earnedWei, part of the fuel: rounded down', () => {
  expect(earnedWei(10n, 1n, 3n)).toBe(3n);
});

test('earnedWei, all of the fuel: the whole fee', () => {
  expect(earnedWei(10n, 3n, 3n)).toBe(10n);
});

test('partOf, any amount: the next lower whole number of wei', () => {
  const isFloor = (amount: bigint, bps: number) => {
    const part = partOf(amount, bps);
    return part * 10_000n <= amount * BigInt(bps) && (part + 1n) * 10_000n > amount * BigInt(bps);
  };
  fc.assert(fc.property(amounts, shares, isFloor));
});

test('workerPoolOf, any amount: the commission is rounded down, not the pool', () => {
  expect(workerPoolOf(999n, 1000)).toBe(900n);
  fc.assert(fc.property(amounts, shares, (wei, bps) => workerPoolOf(wei, bps) + partOf(wei, bps) === wei));
});
