/**
 * Measures what each call of the escrow costs on a fresh chain and prints it beside the EmethCore of 2023.
 * The gates hold for accounts with some credit; the same calls for accounts without credit, and all other
 * calls, follow without a gate.
 *
 *     npm run gas [-- --json | --update]
 *
 * `--update` writes the snapshot that `npx jest test/contracts/gas` compares with.
 */
import Table from 'cli-table3';
import { openEscrow } from '../test/support/escrow';
import { gasCalls, gasTable, measureGas, writeGasSnapshot } from '../test/support/gas';

async function main(): Promise<void> {
  await using escrow = await openEscrow();
  const used = await measureGas(escrow);
  if (process.argv.includes('--update')) writeGasSnapshot(used);
  const rows = gasCalls.map((call) => {
    const { of2023 } = gasTable[call];
    return { call, gas: used[call], ...gasTable[call], ratio: of2023 && used[call] / of2023 };
  });
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const table = new Table({
    head: ['call', 'now', 'gate', '2023', 'now ÷ 2023'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  const digits = (gas: number) => gas.toLocaleString('en');
  for (const { call, gas, gate, of2023, ratio } of rows) {
    table.push([
      call,
      digits(gas),
      gate ? digits(gate) : 'none',
      of2023 ? digits(of2023) : '–',
      ratio?.toFixed(2) ?? '–',
    ]);
  }
  process.stdout.write(`${table.toString()}\n`);
}

void main();
