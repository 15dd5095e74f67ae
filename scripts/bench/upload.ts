/** Measures how fast a blob is uploaded to a master's storage on loopback. */
/**
 * The storage is a process of its own, as in life. Reports the median of five runs.
 *
 *     npx ts-node --swc scripts/bench/upload.ts [--mib 256] [--json]
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { BlobStore } from '../../src/blobs/blob-store';
import { RemoteBlobs } from '../../src/blobs/remote-blobs';
import { openWallet } from '../../src/chain/sending/wallet';
import { STORAGE_DOMAIN, uploadTypes } from '../../src/protocol/storage';
import { CHAIN_ID } from '../../test/support/link-pair';
import { openScratch } from '../../test/support/scratch';
import { openServedMaster } from '../../test/support/served-master';

const RUNS = 5;
const KEY = `0x${'11'.repeat(32)}`;

async function serve(): Promise<void> {
  const master = await openServedMaster();
  process.send?.(master.port);
  await once(process, 'disconnect');
  await master[Symbol.asyncDispose]();
}

async function measure(mib: number, asJson: boolean): Promise<void> {
  await using scratch = await openScratch();
  const server = fork(__filename, ['--serve'], { execArgv: process.execArgv });
  const [port] = (await once(server, 'message')) as [number];
  const own = new BlobStore(scratch.path);
  const wallet = await openWallet({ privateKey: KEY }, CHAIN_ID);
  const sign = (upload: object) => wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
  const remote = new RemoteBlobs(`http://127.0.0.1:${port}/api/v1`);
  const rates: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const { sha256, bytes } = await own.addBytes(randomBytes(mib * 2 ** 20));
    const startedMs = performance.now();
    await remote.upload(sha256, own, wallet.address, sign);
    rates.push(bytes / 1e6 / ((performance.now() - startedMs) / 1000));
    await own.remove(sha256);
  }
  const gone = once(server, 'exit');
  server.disconnect();
  await gone;
  const median = rates.toSorted((a, b) => a - b)[RUNS >> 1] ?? 0;
  const report = { mib, cores: cpus().length, megabytesPerSecond: Math.round(median), runs: rates.map(Math.round) };
  process.stdout.write(asJson ? `${JSON.stringify(report)}\n` : `${mib} MiB: ${report.megabytesPerSecond} MB/s\n`);
}

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' },
    json: { type: 'boolean', default: false },
    serve: { type: 'boolean', default: false },
  },
});
void (values.serve ? serve() : measure(Number(values.mib), values.json));
