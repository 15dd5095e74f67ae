/** The gas of each call, beside its gate and its snapshot. */
import { type Escrow, openEscrow } from '../support/escrow';
import { type GasCall, gasCalls, gasDeviation, gasTable, measureGas, readGasSnapshot } from '../support/gas';

// Gas is deterministic except for a few bytes of times and signatures. `npm run gas -- --update` rewrites the
// snapshot.
let escrow: Escrow;
let used: Record<GasCall, number>;

beforeAll(async () => {
  escrow = await openEscrow();
  used = await measureGas(escrow);
});
afterAll(() => escrow?.[Symbol.asyncDispose]());

test('the snapshot: it holds every call', () => {
  expect(Object.keys(readGasSnapshot())).toEqual(gasCalls);
});

test.each(gasCalls)('%s: gas within its gate, and within 1 % of its snapshot', (call) => {
  expect(used[call]).toBeLessThanOrEqual(gasTable[call].gate ?? Number.POSITIVE_INFINITY);
  expect(gasDeviation(call, used[call], readGasSnapshot()[call])).toBeUndefined();
});

test('1 % more or less than the snapshot: a message with the remedy', () => {
  expect(gasDeviation('cancel', 10_100, 10_000)).toMatch(
    /^cancel takes 10100 gas, 1.0 % more .*: npm run gas -- --update$/,
  );
  expect(gasDeviation('cancel', 9_900, 10_000)).toMatch(
    /^cancel takes 9900 gas, 1.0 % less .*: npm run gas -- --update$/,
  );
  expect([10_099, 10_000, 9_901].map((gas) => gasDeviation('cancel', gas, 10_000))).toEqual(Array(3).fill(undefined));
});
