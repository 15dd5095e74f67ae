/**
 * Measures how fast a blob is uploaded to a master's storage on loopback, beside a bare HTTP server that
 * writes what comes to a file, hashes and syncs it. Both are processes of their own, as in life, and have
 * their turns; reports the medians of five runs.
 *
 *     npm run bench:upload -- [--mib 256]
 */
import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { BlobStore } from '../../src/blobs/blob-store';
import { RemoteBlobs } from '../../src/blobs/remote-blobs';
import { openWallet } from '../../src/chain/sending/wallet';
import { STORAGE_DOMAIN, uploadTypes } from '../../src/protocol/storage';
import { CHAIN_ID } from '../../test/support/link-pair';
import { openScratch } from '../../test/support/scratch';
import { openServedMaster } from '../../test/support/served-master';
import { answerOf } from './processes';
import { median, printReport, rowOf } from './report';

const RUNS = 5;
const MIB = 2 ** 20;
const KEY = `0x${'11'.repeat(32)}`;

async function serve(): Promise<void> {
  const master = await openServedMaster();
  process.send?.(master.port);
  await once(process, 'disconnect');
  await master[Symbol.asyncDispose]();
}

/** Takes one file after the other, and answers when it lies on the disk. */
async function serveBare(): Promise<void> {
  await using scratch = await openScratch();
  const server = createServer(async (incoming, response) => {
    const path = scratch.file('blob');
    const hash = createHash('sha256');
    const file = await open(path, 'w');
    for await (const piece of incoming) {
      hash.update(piece as Buffer);
      await file.write(piece as Buffer);
    }
    await file.sync();
    await file.close();
    await rm(path);
    response.end(hash.digest('hex'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.send?.((server.address() as AddressInfo).port);
  await once(process, 'disconnect');
  server.closeAllConnections();
  server.close();
}

async function start(kind: string): Promise<{ port: number } & AsyncDisposable> {
  const server = fork(__filename, ['--serve', kind], { execArgv: process.execArgv });
  const port = await answerOf<number>(server);
  return {
    port,
    async [Symbol.asyncDispose]() {
      const gone = once(server, 'exit');
      server.disconnect();
      await gone;
    },
  };
}

async function sendBare(port: number, path: string, bytes: number): Promise<void> {
  const headers = { 'content-length': bytes };
  const call = request({ host: '127.0.0.1', port, method: 'PUT', headers });
  const answered = once(call, 'response');
  await pipeline(createReadStream(path, { highWaterMark: MIB }), call);
  const [response] = await answered;
  await once(response.resume(), 'end');
}

async function measure(mib: number): Promise<void> {
  await using scratch = await openScratch();
  await using storage = await start('storage');
  await using bare = await start('bare');
  const own = new BlobStore(scratch.path);
  const wallet = await openWallet({ privateKey: KEY }, CHAIN_ID);
  const sign = (upload: object) => wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
  const remote = new RemoteBlobs(`http://127.0.0.1:${storage.port}/api/v1`);
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let run = 0; run < RUNS; run += 1) {
    const { sha256, bytes } = await own.addBytes(randomBytes(mib * MIB));
    const rate = async (work: () => Promise<unknown>) => {
      const startedMs = performance.now();
      await work();
      return bytes / 1e6 / ((performance.now() - startedMs) / 1000);
    };
    ours.push(await rate(() => remote.upload(sha256, own, wallet.address, sign)));
    theirs.push(await rate(() => sendBare(bare.port, own.path(sha256), bytes)));
    await own.remove(sha256);
  }
  const name = 'upload to a storage ÷ bare HTTP with sha256 and fsync';
  printReport([rowOf({ name, bar: '', ours: median(ours), theirs: median(theirs), unit: 'MB/s' })], { mib });
}

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '256' }, serve: { type: 'string' } },
});
void (values.serve === undefined ? measure(Number(values.mib)) : values.serve === 'bare' ? serveBare() : serve());
