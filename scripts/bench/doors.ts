/** Measures how a master serves good clients while others hold open whatever they can. */
/**
 * A master without a chain, as a process of its own; another process opens silent connections, has stalled
 * pulls on the link of proven workers (half of them do not even read), and leaves uploads unfinished. Good
 * clients make a connection for each request.
 *
 *     npm run bench:doors -- [--seconds 20]
 *
 * Exits 1 when good requests fail or become more than 3 times slower (p99), or the master grows by more than
 * 60 MB, or does not shrink again.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, readdir, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openWallet } from '../../src/chain/sending/wallet';
import type { Sha256 } from '../../src/domain/ids';
import { STORAGE_DOMAIN, uploadTypes } from '../../src/protocol/storage';
import { CHAIN_ID, newWallet } from '../../test/support/link-pair';
import { openProvenLink } from '../../test/support/raw-link';
import { openScratch } from '../../test/support/scratch';
import { openServedMaster } from '../../test/support/served-master';
import { answerOf, startCollecting } from './processes';
import { isMet, printReport, rowOf } from './report';

const MIB = 2 ** 20;
const ATTACK = { silent: 4200, workers: 12, pulls: 64, uploads: 200 };
/** A silent connection that the master closed is opened again after up to so much time. */
const REDIAL_MS = 20_000;
const BLOB_BYTES = 64 * MIB;
const UPLOAD_BYTES = 16 * MIB;
const BARS = { p99Ratio: 3, growthMb: 60, leftMb: 30 };
/** The key of the account that may upload; it has one EMT. */
const REQUESTER = `0x${'11'.repeat(32)}`;
/** Good clients, each of which makes one request after the other. */
const CLIENTS = 4;

interface Master {
  rssMb: number;
  /** The most since the last question. */
  peakMb: number;
  diskMb: number;
}

async function serve(): Promise<void> {
  const master = await openServedMaster();
  // Piece by piece, so that nothing of it is in memory when that is measured.
  await using scratch = await openScratch();
  for (let at = 0; at < BLOB_BYTES; at += MIB) await appendFile(scratch.file('blob'), randomBytes(MIB));
  const blob = await master.blobs.add(scratch.file('blob'), { move: true });
  let peak = 0;
  setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 50);
  process.on('message', async () => {
    globalThis.gc?.();
    const { rss } = process.memoryUsage();
    process.send?.({ rssMb: rss / 1e6, peakMb: peak / 1e6, diskMb: (await sizeOf(master.blobs.dir)) / 1e6 });
    peak = 0;
  });
  process.on('disconnect', () => process.exit());
  process.send?.({ port: master.port, sha256: blob.sha256 });
}

async function sizeOf(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map((file) => stat(join(file.parentPath, file.name)).catch(() => undefined)));
  return sizes.reduce((sum, size) => sum + (size?.size ?? 0), 0);
}

/** Begins all of it, and goes on until the parent goes. */
async function attack(port: number, sha256: Sha256): Promise<void> {
  process.on('disconnect', () => process.exit());
  // One after the other, as all of them together may be too slow on a busy machine; all of them stay.
  await Promise.all(Array.from({ length: ATTACK.workers }, (_, i) => stallPulls(port, sha256, i % 2 === 0)));
  const statuses: Record<string, number> = {};
  const uploads = Array.from({ length: ATTACK.uploads }, async () => {
    const status = await leaveUpload(port).catch((error) => String(error.code ?? error));
    statuses[status] = (statuses[status] ?? 0) + 1;
  });
  await Promise.all(uploads);
  for (let i = 0; i < ATTACK.silent; i += 1) void beSilent(port, `127.0.${1 + (i % 40)}.1`);
  await delay(1000);
  process.send?.(statuses);
}

async function beSilent(port: number, localAddress: string): Promise<void> {
  for (;;) {
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.resume().once('close', resolve));
    await delay(REDIAL_MS * Math.random());
  }
}

/** A worker that asks for the blob many times and grants no more than it did at first. */
async function stallPulls(port: number, sha256: Sha256, reads: boolean): Promise<void> {
  const link = await openProvenLink(`ws://127.0.0.1:${port}/link`, await newWallet());
  link.socket.on('message', (data) => {
    const text = link.opener?.open(data.toString());
    if (text?.includes('"ping"')) link.sendSealed(text.replace('ping', 'pong'));
  });
  for (let transfer = 1; transfer <= ATTACK.pulls; transfer += 1) {
    link.sendSealed({ type: 'blob.pull', transfer, sha256, bytes: BLOB_BYTES, offset: 0, window: 4 * MIB });
  }
  if (!reads) link.socket.pause();
}

/** Sends the first piece of an upload; returns the status. */
async function leaveUpload(port: number): Promise<number> {
  const wallet = await openWallet({ privateKey: REQUESTER }, CHAIN_ID);
  const sha256 = randomBytes(32).toString('hex');
  const permit = { owner: wallet.address, blob: `0x${sha256}`, bytes: UPLOAD_BYTES, expiresAtMs: Date.now() + 600_000 };
  const signature = await wallet.signTyped(STORAGE_DOMAIN, uploadTypes, permit);
  const piece = randomBytes(MIB);
  const headers = {
    authorization: `Emeth ${permit.owner} ${permit.expiresAtMs} ${signature}`,
    'upload-length': UPLOAD_BYTES,
    'upload-offset': 0,
    'content-type': 'application/octet-stream',
    'content-length': piece.length,
  };
  const path = `/api/v1/uploads/${sha256}`;
  const call = request({ host: '127.0.0.1', port, method: 'PUT', path, headers, agent: false });
  const [response] = await once(call.end(piece), 'response');
  response.resume();
  return response.statusCode;
}

/** Good clients for so many seconds: how long their requests took, in milliseconds, and how many failed. */
async function beGood(port: number, sha256: Sha256, seconds: number) {
  const end = performance.now() + seconds * 1000;
  const times: number[] = [];
  let failed = 0;
  const client = async () => {
    while (performance.now() < end) {
      const startedMs = performance.now();
      const isHead = Math.random() < 0.5;
      const status = await ask(port, isHead ? 'HEAD' : 'GET', isHead ? `/api/v1/blobs/${sha256}` : '/healthz');
      if (status === 200) times.push(performance.now() - startedMs);
      else failed += 1;
      await delay(10);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  times.sort((a, b) => a - b);
  const at = (part: number) => round(times[Math.floor(part * times.length)] ?? Number.NaN);
  return { requests: times.length, failed, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function ask(port: number, method: string, path: string): Promise<number | undefined> {
  // Each from an address of its own, as a rate limit counts them.
  const localAddress = `127.1.${1 + Math.floor(200 * Math.random())}.1`;
  try {
    const options = { host: '127.0.0.1', localAddress, port, method, path, agent: false };
    const [response] = await once(request(options).end(), 'response');
    response.resume();
    return response.statusCode;
  } catch {
    return undefined;
  }
}

async function look(server: ChildProcess): Promise<Master> {
  server.send('look');
  return await answerOf<Master>(server);
}

async function main(seconds: number): Promise<void> {
  const server = startCollecting(__filename, ['--serve']);
  const { port, sha256 } = await answerOf<{ port: number; sha256: Sha256 }>(server);
  await beGood(port, sha256, 5);
  const undisturbed = await beGood(port, sha256, seconds);
  const before = await look(server);
  const attackers = startCollecting(__filename, ['--attack', '--port', String(port), '--blob', sha256]);
  const uploads = await answerOf<Record<string, number>>(attackers);
  await delay(1000);
  const attacked = await beGood(port, sha256, seconds);
  const during = await look(server);
  attackers.disconnect();
  await once(attackers, 'exit');
  await delay(5000);
  await beGood(port, sha256, 5);
  const after = await look(server);
  server.disconnect();
  await once(server, 'exit');

  const growthMb = round(during.peakMb - before.rssMb);
  const leftMb = round(after.rssMb - before.rssMb);
  const disk = { uploads, unfinishedMb: round(during.diskMb - before.diskMb) };
  const rows = [
    rowOf({
      name: 'good requests while doors are held open ÷ undisturbed, p99',
      bar: `≤ ${BARS.p99Ratio}`,
      ours: attacked.p99Ms,
      theirs: undisturbed.p99Ms,
      unit: 'ms',
    }),
    ...[
      { what: 'growth meanwhile', ours: growthMb, theirs: BARS.growthMb },
      { what: 'growth that is left', ours: leftMb, theirs: BARS.leftMb },
    ].map(({ what, ...sides }) =>
      rowOf({ name: `master with held doors, ${what} ÷ ${sides.theirs} MB`, bar: '≤ 1', ...sides, unit: 'MB' }),
    ),
  ];
  printReport(rows, { attack: ATTACK, undisturbed, attacked, ...disk });
  if (attacked.failed > 0 || !rows.every(isMet)) process.exitCode = 1;
}

function round(value: number): number {
  return Number(value.toFixed(2));
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    serve: { type: 'boolean', default: false },
    attack: { type: 'boolean', default: false },
    port: { type: 'string', default: '0' },
    blob: { type: 'string', default: '' },
  },
});
if (values.serve) void serve();
else if (values.attack) void attack(Number(values.port), values.blob as Sha256);
else void main(Number(values.seconds));
