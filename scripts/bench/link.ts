/** Measures how fast blobs move over the link, beside a local copy and a bare WebSocket. */
/**
 * Master and worker are processes of their own, on one machine: its cores carry both ends, with hashing and
 * disk of the receiver. The copy reads, hashes, writes and syncs as a receiver does, in one process. The bare
 * pair neither hashes nor writes. All are measured in turn, `runs` times; a ratio is the median of those that
 * each turn has, so that a change in the machine's speed counts little.
 *
 *     npm run bench:link -- [--mib 256] [--runs 7]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WebSocket, WebSocketServer } from 'ws';
import type { BlobStore } from '../../src/blobs/blob-store';
import type { Address } from '../../src/domain/ids';
import type { BlobRef } from '../../src/protocol/blob-ref';
import { CHUNK_BYTES } from '../../src/protocol/link';
import { openTestClient, openTestServer } from '../../test/support/link-pair';
import { answerOf } from './processes';
import { median, printReport, rowOf } from './report';

const MIB = 1024 * 1024;
const NAMES = {
  down: 'link, master to worker',
  up: 'link, worker to master',
  copy: 'local copy with sha256 and fsync',
  bareDown: 'bare WebSocket, server to client',
  bareUp: 'bare WebSocket, client to server',
};

/** What the worker's process is asked. */
type Ask =
  | { act: 'pull'; blob: BlobRef }
  | { act: 'remove'; blob: BlobRef }
  | { act: 'send' | 'receive'; url: string; bytes: number };

/** The process of the worker: does what it is asked, and says when it is done. */
async function serveWorker(url: string): Promise<void> {
  const worker = await openTestClient(url);
  const acts = (ask: Ask): Promise<unknown> => {
    if (ask.act === 'pull') return worker.link.pull(ask.blob);
    if (ask.act === 'remove') return worker.blobs.remove(ask.blob.sha256);
    return bareEnd(new WebSocket(ask.url, { perMessageDeflate: false }), ask.act, ask.bytes);
  };
  process.on('message', async (ask: Ask) => {
    await acts(ask);
    process.send?.('done');
  });
  process.on('disconnect', async () => {
    await worker[Symbol.asyncDispose]();
    process.exit();
  });
  process.send?.(worker.wallet.address);
}

/** Sends or receives so many bytes; waits at a buffer of 1 MiB like the link. */
async function bareEnd(socket: WebSocket, act: 'send' | 'receive', bytes: number): Promise<void> {
  if (act === 'receive') {
    let received = 0;
    await new Promise<void>((resolve) => {
      socket.on('message', (data: Buffer) => {
        received += data.length;
        if (received >= bytes) resolve();
      });
    });
    socket.terminate();
    return;
  }
  if (socket.readyState !== WebSocket.OPEN) await once(socket, 'open');
  const chunk = randomBytes(CHUNK_BYTES);
  for (let sent = 0; sent < bytes; sent += chunk.length) {
    const flushed = new Promise<void>((resolve) => socket.send(chunk, () => resolve()));
    if (socket.bufferedAmount > MIB) await flushed;
  }
  await once(socket, 'close');
}

/** Copies a file as a receiver stores a blob: piece by piece, hashed, and on the disk at the end. */
async function copyAndHash(path: string, target: string): Promise<void> {
  const hash = createHash('sha256');
  const [from, to] = [await open(path, 'r'), await open(target, 'w')];
  const piece = Buffer.alloc(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await from.read(piece, 0, piece.length);
    if (bytesRead === 0) break;
    hash.update(piece.subarray(0, bytesRead));
    await to.write(piece, 0, bytesRead);
  }
  hash.digest('hex');
  await to.sync();
  await to.close();
  await from.close();
  await rm(target);
}

/** What is measured, by name; before each a blob is made to be missing where it goes. */
function measures(ends: { master: BlobStore; ask(ask: Ask): Promise<void>; pull(): Promise<void> }, blob: BlobRef) {
  const { master, ask, pull } = ends;
  const bare = async (act: 'send' | 'receive') => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    await once(server, 'listening');
    const accepted = once(server, 'connection') as Promise<[WebSocket]>;
    const url = `ws://127.0.0.1:${portOf(server)}`;
    const other = ask({ act, url, bytes: blob.bytes });
    const mine = act === 'send' ? ('receive' as const) : ('send' as const);
    await Promise.all([other, accepted.then(([socket]) => bareEnd(socket, mine, blob.bytes))]);
    server.close();
  };
  const copy = () => copyAndHash(master.path(blob.sha256), join(master.dir, 'copy'));
  return {
    down: { before: () => ask({ act: 'remove', blob }), run: () => ask({ act: 'pull', blob }) },
    copy: { before: async () => undefined, run: copy },
    up: { before: () => master.remove(blob.sha256), run: pull },
    bareDown: { before: async () => undefined, run: () => bare('receive') },
    bareUp: { before: async () => undefined, run: () => bare('send') },
  };
}

type Name = keyof typeof NAMES;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { mib: { type: 'string' }, runs: { type: 'string' } } });
  const [mib, runs] = [Number(values.mib ?? 256), Number(values.runs ?? 7)];
  await using server = await openTestServer();
  const child = fork(__filename, ['worker', server.url]);
  const address = await answerOf<Address>(child);
  const peer = await server.peer(address);
  const blob = await server.blobs.addBytes(randomBytes(mib * MIB));
  const ends = { master: server.blobs, ask: (ask: Ask) => done(child, ask), pull: () => peer.pull(blob) };
  const turns: Record<Name, number>[] = [];
  // The first turn, in which the code is compiled, does not count.
  for (let run = 0; run <= runs; run++) {
    const turn = {} as Record<Name, number>;
    for (const [name, { before, run: work }] of Object.entries(measures(ends, blob))) {
      await before();
      turn[name as Name] = await megabytesPerSecond(blob.bytes, work);
    }
    if (run > 0) turns.push(turn);
  }
  child.disconnect();
  const beside = (ours: Name, theirs: Name, bar: string) =>
    rowOf({
      name: `${NAMES[ours]} ÷ ${NAMES[theirs]}`,
      bar,
      ratio: median(turns.map((turn) => turn[ours] / turn[theirs])),
      ours: median(turns.map((turn) => turn[ours])),
      theirs: median(turns.map((turn) => turn[theirs])),
      unit: 'MB/s',
    });
  const copies = [beside('down', 'copy', '≥ 0.9'), beside('up', 'copy', '≥ 0.9')];
  printReport([...copies, beside('down', 'bareDown', ''), beside('up', 'bareUp', '')], { mib, runs });
}

async function done(child: ChildProcess, ask: Ask): Promise<void> {
  child.send(ask);
  await answerOf(child);
}

async function megabytesPerSecond(bytes: number, work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return bytes / 1e6 / ((performance.now() - start) / 1000);
}

function portOf(server: { address(): AddressInfo | string | null }): number {
  return (server.address() as AddressInfo).port;
}

const [role, url] = process.argv.slice(2);
void (role === 'worker' && url ? serveWorker(url) : main());
