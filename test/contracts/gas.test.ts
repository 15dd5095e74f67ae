import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Escrow, openEscrow } from '../support/escrow';
import { type GasCall, gasCalls, gasTable, measureGas } from '../support/gas';

/** Gas is deterministic: the file holds what each call took when it was last looked at. `UPDATE_GAS=1` writes it anew. */
const snapshotFile = join(__dirname, 'gas.json');
const SLACK = 1.01;

let escrow: Escrow;
let used: Record<GasCall, number>;

beforeAll(async () => {
  escrow = await openEscrow();
  used = await measureGas(escrow);
  if (process.env['UPDATE_GAS']) writeFileSync(snapshotFile, `${JSON.stringify(used, null, 2)}\n`);
});
afterAll(() => escrow?.[Symbol.asyncDispose]());

test('the snapshot holds every call', () => {
  expect(Object.keys(snapshot()).sort()).toEqual([...gasCalls].sort());
});

test.each(gasCalls)('%s keeps to its gate, and to its snapshot within a hundredth', (call) => {
  expect(used[call]).toBeLessThanOrEqual(gasTable[call].gate);
  expect(used[call]).toBeLessThanOrEqual(snapshot()[call] * SLACK);
});

function snapshot(): Record<GasCall, number> {
  return JSON.parse(readFileSync(snapshotFile, 'utf8')) as Record<GasCall, number>;
}
