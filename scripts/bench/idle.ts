/** Measures what an idle worker costs a master's link, beside a bare WebSocket of the same library. */
/**
 * Both servers are processes of their own, with the same number of sockets from a third one, and exchange a
 * heartbeat with each of them. `heapKib` is what lives in memory for one socket: what a server grew by after
 * its first tenth of sockets, with garbage collected. `rssKib` is its growth since there was none, as the
 * system sees it, with what V8 keeps for later.
 *
 *     npm run bench:idle -- [--workers 10000] [--seconds 30]
 *
 * Exits 1 when the link needs more than 2.5 times the memory or the CPU time of the bare server.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { BlobStore } from '../../src/blobs/blob-store';
import { openWallet, recoverTyped } from '../../src/chain/sending/wallet';
import { Fleet } from '../../src/fleet/fleet';
import { clientBehind } from '../../src/http/client-address';
import { openHttp } from '../../src/http/server';
import { systemClock } from '../../src/lib/clock';
import { openLogger } from '../../src/lib/logger';
import { newNonce, signHello, type UnsignedHello } from '../../src/link/handshake';
import { ephemeralKey, Opener, Sealer } from '../../src/link/seal';
import { openLinkServer } from '../../src/link/server';
import { SOCKET_OPTIONS } from '../../src/link/socket';
import { MasterMessage, SUBPROTOCOL } from '../../src/protocol/link';
import { answerOf, startCollecting } from './processes';
import { isMet, printReport, rowOf } from './report';

const CHAIN_ID = 31337;
const HEARTBEAT_MS = 10_000;
const MOST = '≤ 2.5';
/** Handshakes under way at once. */
const LANES = 16;
/** The part of the sockets after which growth is measured. */
const WARM_UP = 0.1;
/** Sockets from one address of this machine, well below the ports that an address has. */
const PER_ADDRESS = 2_000;

type Kind = 'link' | 'bare';
interface Usage {
  rss: number;
  heap: number;
  cpuMs: number;
  sockets: number;
}

/** A master as far as idle workers need one. */
async function serveLink(): Promise<{ port: number; count(): number }> {
  const logger = openLogger({ level: 'error' });
  const fleet = new Fleet({ logger });
  const http = await openHttp({ host: '127.0.0.1', port: 0 }, () => undefined, { logger });
  const link = openLinkServer(
    { server: http.server, path: '/link', chainId: CHAIN_ID, version: '0.1.0', heartbeatMs: HEARTBEAT_MS },
    {
      wallet: await openWallet({ privateKey: '11'.repeat(32) }, CHAIN_ID),
      recoverTyped,
      blobs: new BlobStore('/nonexistent'),
      clientAddress: clientBehind([]),
      isAllowedIp: () => true,
      isBlocked: async () => false,
      mayPull: (worker, sha256) => fleet.mayPull(worker, sha256),
      handlers: fleet,
      logger,
      clock: systemClock,
    },
  );
  return { port: http.port, count: () => link.peers.size };
}

/** The least that keeps a WebSocket and sees whether it is alive. */
async function serveBare(): Promise<{ port: number; count(): number }> {
  const server = createServer();
  const sockets = new WebSocketServer({ server, ...SOCKET_OPTIONS });
  const alive = new WeakMap<WebSocket, number>();
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => alive.set(socket, (JSON.parse(data.toString()) as { atMs: number }).atMs));
  });
  setInterval(() => {
    const ping = JSON.stringify({ type: 'ping', atMs: Date.now() });
    for (const socket of sockets.clients) socket.send(ping);
  }, HEARTBEAT_MS);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, count: () => sockets.clients.size };
}

/** Answers `usage` until the parent goes. */
async function serve(kind: Kind): Promise<void> {
  const server = kind === 'link' ? await serveLink() : await serveBare();
  process.on('message', () => {
    for (let i = 0; i < 3; i += 1) globalThis.gc?.();
    const { rss, heapUsed, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    const usage: Usage = { rss, heap: heapUsed + external, cpuMs: (user + system) / 1000, sockets: server.count() };
    process.send?.(usage);
  });
  process.on('disconnect', () => process.exit());
  process.send?.(server.port);
}

/** Opens so many sockets, answers their heartbeats, and tells the parent when all are open. */
async function connect(kind: Kind, port: number, workers: number): Promise<void> {
  let next = 0;
  let last = 0;
  const lane = async () => {
    while (next < last) {
      const localAddress = `127.0.0.${2 + Math.floor(next++ / PER_ADDRESS)}`;
      // As workers do; on a busy machine this process may be too slow for a handshake.
      while (!(await dial(kind, port, localAddress))) await delay(100);
    }
  };
  process.on('disconnect', () => process.exit());
  for (const target of [Math.ceil(workers * WARM_UP), workers]) {
    last = target;
    await Promise.all(Array.from({ length: LANES }, lane));
    process.send?.('connected');
    await once(process, 'message');
  }
}

/** Opens one socket; false when it broke before it was ready. */
async function dial(kind: Kind, port: number, localAddress: string): Promise<boolean> {
  const options = { localAddress, perMessageDeflate: false };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/link`, SUBPROTOCOL, options);
  try {
    if (kind === 'link') await joinMaster(socket);
    else {
      socket.on('message', (data) => socket.send(data.toString().replace('ping', 'pong')));
      await once(socket, 'open');
    }
    return true;
  } catch (error) {
    process.stderr.write(`${kind}: ${String(error)}\n`);
    socket.on('error', () => undefined).terminate();
    return false;
  }
}

/** The worker's part of the handshake, and of the heartbeats. */
async function joinMaster(socket: WebSocket): Promise<void> {
  const next = async () => MasterMessage.parse(JSON.parse(String((await once(socket, 'message'))[0])));
  const challenge = await next();
  if (challenge.type !== 'challenge') throw new Error(`The master said ${challenge.type} first`);
  const wallet = await openWallet({ privateKey: randomBytes(32).toString('hex') }, CHAIN_ID);
  const key = ephemeralKey();
  const devices = [{ name: 'NVIDIA GeForce RTX 4090', kind: 'cuda' as const, memoryBytes: 24e9 }];
  const hello: UnsignedHello = {
    type: 'hello',
    worker: wallet.address,
    nonce: newNonce(),
    key: key.publicKey,
    offer: { devices, powerCapacity: 40_000, version: '0.1.0' },
  };
  socket.send(JSON.stringify(await signHello(wallet, challenge, hello)));
  const welcome = await next();
  if (welcome.type !== 'welcome') throw new Error(`The master said ${welcome.type} instead of welcome`);
  const keys = key.agree(challenge.key, { master: challenge.nonce, worker: hello.nonce });
  const [opener, sealer] = [new Opener(keys.toWorker), new Sealer(keys.toMaster)];
  socket.on('message', (data: RawData) => {
    const text = opener.open(data.toString());
    if (text?.includes('"ping"')) socket.send(sealer.seal(text.replace('ping', 'pong')));
  });
}

async function ask(server: ChildProcess): Promise<Usage> {
  server.send('usage');
  return await answerOf<Usage>(server);
}

async function measure(kind: Kind, workers: number, seconds: number) {
  const server = startCollecting(__filename, ['--serve', kind]);
  const port = await answerOf<number>(server);
  const empty = await ask(server);
  const clients = startCollecting(__filename, [
    '--connect',
    kind,
    '--port',
    String(port),
    '--workers',
    String(workers),
  ]);
  await answerOf(clients);
  await delay(HEARTBEAT_MS);
  const before = await ask(server);
  clients.send('go on');
  await answerOf(clients);
  await delay(HEARTBEAT_MS);
  const settled = await ask(server);
  await delay(seconds * 1000);
  const after = await ask(server);
  if (after.sockets !== workers) throw new Error(`${kind}: ${after.sockets} of ${workers} sockets are open`);
  for (const child of [clients, server]) {
    child.disconnect();
    await once(child, 'exit');
  }
  const heap = (after.heap - before.heap) / (workers - before.sockets);
  return {
    rssKib: round((after.rss - empty.rss) / workers / 1024),
    heapKib: round(heap / 1024),
    cpuMsPerSecond: round((after.cpuMs - settled.cpuMs) / seconds),
  };
}

async function main(workers: number, seconds: number): Promise<void> {
  const bare = await measure('bare', workers, seconds);
  const link = await measure('link', workers, seconds);
  const beside = (what: string, of: keyof typeof link, unit: string) =>
    rowOf({ name: `idle worker ÷ bare WebSocket, ${what}`, bar: MOST, ours: link[of], theirs: bare[of], unit });
  const rows = [
    beside('memory of the process', 'rssKib', 'KiB'),
    beside('memory of the heap', 'heapKib', 'KiB'),
    beside('processor', 'cpuMsPerSecond', 'ms/s for all'),
  ];
  printReport(rows, { workers, heartbeatMs: HEARTBEAT_MS });
  if (!rows.every(isMet)) process.exitCode = 1;
}

function round(value: number): number {
  return Number(value.toFixed(2));
}

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '30' },
    serve: { type: 'string' },
    connect: { type: 'string' },
    port: { type: 'string', default: '0' },
  },
});
const workers = Number(values.workers);
if (values.serve) void serve(values.serve as Kind);
else if (values.connect) void connect(values.connect as Kind, Number(values.port), workers);
else void main(workers, Number(values.seconds));
