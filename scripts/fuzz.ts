/**
 * Sends generated inputs through every door that strangers' bytes come in by, and prints how that went.
 *
 *     npm run fuzz -- [--inputs 100000] [--doors "JSON-RPC,storage API"] [--seed N]
 */
import { parseArgs } from 'node:util';
import { doorNames, fuzz } from '../test/support/fuzz';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    doors: { type: 'string', default: doorNames.join(',') },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const MAX_GROWTH_MB = 16;

async function main(): Promise<void> {
  const wanted = values.doors.split(',');
  const unknown = wanted.filter((door) => !doorNames.some((known) => known === door));
  if (unknown.length > 0)
    throw new Error(`No door is called ${unknown.join(', ')}; there are: ${doorNames.join(', ')}.`);
  for (const door of doorNames.filter((name) => wanted.includes(name))) {
    const report = await fuzz(door, Number(values.inputs), Number(values.seed));
    console.log(JSON.stringify(report));
    if ((report.heapGrowthMb ?? 0) <= MAX_GROWTH_MB) continue;
    console.log(`missed: the heap grew by more than ${MAX_GROWTH_MB} MB`);
    process.exitCode = 1;
  }
}

void main();
