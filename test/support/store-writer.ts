import { Address, JobId } from '../../src/domain/ids';
import { openStore } from '../../src/store/open';

/*
 * A process that saves and claims jobs in a SQLite queue, and prints each one's number once the store has acknowledged it:
 *
 *     node -r ts-node/register/transpile-only test/support/store-writer.ts <path> <first> <count>
 */
async function main(path: string, first: number, count: number): Promise<void> {
  await using store = await openStore({ kind: 'sqlite', path });
  const owner = Address.parse(`0x${'1'.padStart(40, '0')}`);
  for (let n = first; n < first + count; n++) {
    const id = JobId.parse(`0x${n.toString(16).padStart(32, '0')}`);
    const job = { id, requester: owner, dataset: 'x', params: '{}', feeWei: 1n, fuelLimit: 1n };
    await store.jobs.saveRequested({ ...job, deadlineMs: 1, requestedBlock: 1 });
    await store.jobs.claim(id, owner);
    await store.workers.addStrike(owner, String(n));
    process.stdout.write(`${n}\n`);
  }
}

const [path = '', first, count] = process.argv.slice(2);
void main(path, Number(first), Number(count));
