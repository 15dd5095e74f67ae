/** Measures how fast blobs move over the link, compared with its parts alone. */
/**
 * Everything runs in this one process on loopback, so both ends share its thread. Reports medians of three
 * interleaved runs.
 *
 *     npm run bench:link -- [--mib 256]
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WebSocket, WebSocketServer } from 'ws';
import { BlobStore } from '../../src/blobs/blob-store';
import { openWallet, recoverTyped } from '../../src/chain/sending/wallet';
import { clientBehind } from '../../src/http/client-address';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { openLinkClient } from '../../src/link/client';
import type { Peer } from '../../src/link/gate';
import { openLinkServer } from '../../src/link/server';
import type { BlobRef } from '../../src/protocol/blob-ref';
import { CHUNK_BYTES } from '../../src/protocol/link';
import { median, printReport, rowOf } from './report';

const MIB = 1024 * 1024;
const CHAIN_ID = 31337;
const RUNS = 3;

interface Ends extends AsyncDisposable {
  master: BlobStore;
  worker: BlobStore;
  toMaster(blob: BlobRef): Promise<void>;
  toWorker(blob: BlobRef): Promise<void>;
}

/** Connects a master and a worker in this process. */
async function openEnds(dir: string): Promise<Ends> {
  const server = createServer();
  const [master, worker] = [new BlobStore(join(dir, 'master')), new BlobStore(join(dir, 'worker'))];
  const common = { recoverTyped, logger: silentLogger, clock: systemClock };
  let onPeer: (peer: Peer) => void = () => {};
  const peer = new Promise<Peer>((resolve) => {
    onPeer = resolve;
  });
  const link = openLinkServer(
    { server, path: '/link', chainId: CHAIN_ID, version: '0.1.0', heartbeatMs: 10_000 },
    {
      ...common,
      wallet: await newWallet(),
      blobs: master,
      mayPull: () => true,
      clientAddress: clientBehind([]),
      isAllowedIp: () => true,
      isBlocked: () => false,
      handlers: { onConnect: onPeer, onMessage() {}, onClose() {} },
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = openLinkClient(
    { url: `ws://127.0.0.1:${portOf(server)}/link`, chainId: CHAIN_ID, version: '0.1.0' },
    {
      ...common,
      wallet: await newWallet(),
      blobs: worker,
      mayPull: () => true,
      offer: () => ({ devices: [{ name: 'bench', kind: 'cpu', memoryBytes: 0 }], powerCapacity: 1 }),
      pinned: { load: async () => undefined, save: async () => {} },
      handlers: { onWelcome() {}, onMessage() {}, onClose() {} },
    },
  );
  const connected = await peer;
  return {
    master,
    worker,
    toMaster: (blob) => connected.pull(blob),
    toWorker: (blob) => client.pull(blob),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
      server.close();
    },
  };
}

/**
 * Sends chunks over a bare WebSocket, neither hashed nor written; waits at a buffer of 1 MiB like the link.
 */
async function streamBare(bytes: number, sender: 'server' | 'client'): Promise<void> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${portOf(server)}`, { perMessageDeflate: false });
  const [accepted] = (await once(server, 'connection')) as [WebSocket];
  if (client.readyState !== WebSocket.OPEN) await once(client, 'open');
  const [from, to] = sender === 'server' ? [accepted, client] : [client, accepted];
  let received = 0;
  const arrived = new Promise<void>((resolve) => {
    to.on('message', (data: Buffer) => {
      received += data.length;
      if (received >= bytes) resolve();
    });
  });
  const chunk = randomBytes(CHUNK_BYTES);
  for (let sent = 0; sent < bytes; sent += chunk.length) {
    const flushed = new Promise<void>((resolve) => from.send(chunk, () => resolve()));
    if (from.bufferedAmount > MIB) await flushed;
  }
  await arrived;
  client.terminate();
  server.close();
}

/** Copies a file, hashing and syncing it as a transfer does. */
async function copyAndHash(path: string, target: string): Promise<void> {
  const hash = createHash('sha256');
  const file = await open(target, 'w');
  for await (const piece of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    hash.update(piece);
    await file.write(piece);
  }
  hash.digest('hex');
  await file.sync();
  await file.close();
  await rm(target);
}

const LINK = { down: 'link, master to worker', up: 'link, worker to master' };
const BARE = { down: 'bare WebSocket, server to client', up: 'bare WebSocket, client to server' };
const COPY = 'local copy with sha256 and fsync';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { mib: { type: 'string', default: '256' } } });
  const bytes = Number(values.mib) * MIB;
  const dir = await mkdtemp(join(tmpdir(), 'emeth-bench-'));
  try {
    await using ends = await openEnds(dir);
    const data = randomBytes(bytes);
    const blob = await ends.master.addBytes(data);
    const measures: Record<string, () => Promise<void>> = {
      [LINK.down]: () => ends.toWorker(blob),
      [LINK.up]: () => ends.toMaster(blob),
      [BARE.down]: () => streamBare(bytes, 'server'),
      [BARE.up]: () => streamBare(bytes, 'client'),
      [COPY]: () => copyAndHash(ends.worker.path(blob.sha256), join(dir, 'copy')),
    };
    const speeds = new Map<string, number[]>(Object.keys(measures).map((name) => [name, []]));
    for (let run = 0; run < RUNS; run++) {
      for (const [name, measure] of Object.entries(measures)) {
        if (name === LINK.down) await ends.worker.remove(blob.sha256);
        if (name === LINK.up) await ends.master.remove(blob.sha256);
        speeds.get(name)?.push(await megabytesPerSecond(bytes, measure));
      }
    }
    print(Number(values.mib), (name) => median(speeds.get(name) ?? []));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function print(mib: number, speedOf: (name: string) => number): void {
  const beside = (ours: string, theirs: string, bar: string) =>
    rowOf({ name: `${ours} ÷ ${theirs}`, bar, ours: speedOf(ours), theirs: speedOf(theirs), unit: 'MB/s' });
  const rows = [
    beside(LINK.down, COPY, '≥ 0.9'),
    beside(LINK.up, COPY, '≥ 0.9'),
    beside(LINK.down, BARE.down, ''),
    beside(LINK.up, BARE.up, ''),
  ];
  printReport(rows, { mib });
}

async function megabytesPerSecond(bytes: number, work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return bytes / 1e6 / ((performance.now() - start) / 1000);
}

function newWallet() {
  return openWallet({ privateKey: randomBytes(32).toString('hex') }, CHAIN_ID);
}

function portOf(server: { address(): AddressInfo | string | null }): number {
  return (server.address() as AddressInfo).port;
}

void main();
