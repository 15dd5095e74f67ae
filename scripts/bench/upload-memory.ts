/** Measures what each worker that sends an update adds to the memory of a master. */
/**
 * The master is a whole one without a chain (routes, store, link, blobs), as a process of its own; the links
 * of the workers are those that workers use, all in another process. Once with few workers and once with
 * many, each in a fresh master, all send an update at the same time; the most memory that the master had is
 * what the system says (`VmHWM`). The slope is told as a part of the model in fp32, which is four times its
 * int8 update, and of that update.
 *
 *     npm run bench:upload-memory -- [--mib 96] [--few 2] [--many 64]
 */
import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Address, Sha256 } from '../../src/domain/ids';
import type { LinkBlobs } from '../../src/link/ports';
import type { BlobRef } from '../../src/protocol/blob-ref';
import { openTestClient } from '../../test/support/link-pair';
import { openScratch } from '../../test/support/scratch';
import { openServedMaster } from '../../test/support/served-master';
import { answerOf, mostMb } from './processes';
import { printReport, rowOf, tell } from './report';

const MIB = 2 ** 20;
/** Of the parameters of a model: an update has one, its weights in fp32 have four. */
const MODEL_BYTES = 4;

interface Update {
  worker: Address;
  update: BlobRef;
}

/** Fetches the updates that it is told of, all at once, and answers with the most memory it had. */
async function serveMaster(): Promise<void> {
  const master = await openServedMaster();
  process.on('disconnect', () => process.exit());
  process.on('message', async (updates: Update[]) => {
    const startMb = mostMb('self');
    await Promise.all(updates.map((update) => fetchUpdate(master, update)));
    process.send?.({ startMb, mostMb: mostMb('self') });
  });
  process.send?.(master.port);
}

async function fetchUpdate(
  { link, blobs }: Awaited<ReturnType<typeof openServedMaster>>,
  { worker, update }: Update,
): Promise<void> {
  await link.peers.get(worker)?.pull(update);
  if (!(await blobs.stat(update.sha256))) throw new Error(`The update of ${worker} did not arrive`);
  await blobs.remove(update.sha256);
}

/** Connects so many workers, each with an update of its own; says which. */
async function serveWorkers(port: string, workers: string, mib: string): Promise<void> {
  process.on('disconnect', () => process.exit());
  const scratch = await openScratch();
  const path = scratch.file('update');
  await writeFile(path, '');
  for (let i = 0; i < Number(mib); i += 1) await writeFile(path, randomBytes(MIB), { flag: 'a' });
  const updates: Update[] = [];
  for (let i = 0; i < Number(workers); i += 1) {
    const { blobs, update } = await ownUpdate(path, i);
    const client = await openTestClient(`ws://127.0.0.1:${port}/link`, {}, { blobs });
    while (!client.link.connected) await new Promise((resolve) => setTimeout(resolve, 10));
    updates.push({ worker: client.wallet.address, update });
  }
  process.send?.(updates);
}

/** The file as if its first bytes were the number of a worker, so that each has an update of its own. */
async function ownUpdate(path: string, index: number): Promise<{ blobs: LinkBlobs; update: BlobRef }> {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(index);
  const fill = async (file: Awaited<ReturnType<typeof open>>, into: Uint8Array, offset: number) => {
    const { bytesRead } = await file.read(into, 0, into.length, offset);
    if (offset < head.length) into.set(head.subarray(offset), 0);
    return bytesRead;
  };
  await using whole = await open(path, 'r');
  const hash = createHash('sha256');
  const piece = Buffer.alloc(MIB);
  let bytes = 0;
  for (let count = MIB; count > 0; bytes += count) {
    count = await fill(whole, piece, bytes);
    hash.update(piece.subarray(0, count));
  }
  const update = { sha256: hash.digest('hex') as Sha256, bytes };
  const blobs: LinkBlobs = {
    stat: async () => ({ bytes }),
    openPart: () => Promise.reject(new Error('nothing is sent to these workers')),
    openReader: async () => {
      const file = await open(path, 'r');
      return { read: (into, offset) => fill(file, into, offset), close: () => file.close() };
    },
  };
  return { blobs, update };
}

/** Returns the most megabytes that a master has while so many workers send. */
async function measure(workers: number, mib: number): Promise<number> {
  const master = fork(__filename, ['master']);
  const port = await answerOf<number>(master);
  const others = fork(__filename, ['workers', String(port), String(workers), String(mib)]);
  master.send(await answerOf<Update[]>(others));
  const found = await answerOf<{ startMb: number; mostMb: number }>(master);
  tell(`${workers} workers: ${found.mostMb.toFixed(0)} MB at most, ${found.startMb.toFixed(0)} MB before`);
  for (const child of [others, master]) {
    child.disconnect();
    await once(child, 'exit');
  }
  return found.mostMb;
}

async function main(): Promise<void> {
  const options = { mib: { type: 'string' }, few: { type: 'string' }, many: { type: 'string' } } as const;
  const { values } = parseArgs({ options });
  const [mib, few, many] = [Number(values.mib ?? 96), Number(values.few ?? 2), Number(values.many ?? 64)];
  const [fewMb, manyMb] = [await measure(few, mib), await measure(many, mib)];
  const slope = Math.max(0, manyMb - fewMb) / (many - few);
  const beside = (name: string, theirs: number, bar: string) =>
    rowOf({ name: `memory of a master for each worker that uploads ÷ ${name}`, bar, ours: slope, theirs, unit: 'MB' });
  const updateMb = (mib * MIB) / 1e6;
  const rows = [
    beside('the model in fp32', MODEL_BYTES * updateMb, '≤ 0.005'),
    beside('its int8 update', updateMb, ''),
  ];
  printReport(rows, { mib, few, many, fewMb, manyMb });
}

const [role, ...given] = process.argv.slice(2);
const roles: Record<string, () => Promise<void>> = {
  master: serveMaster,
  workers: () => serveWorkers(given[0] ?? '', given[1] ?? '', given[2] ?? ''),
};
void (roles[role ?? ''] ?? main)();
