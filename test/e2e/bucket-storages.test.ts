/** Two storages, as processes, over one bucket: one is killed in an upload, the other goes on with it. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from '../../src/blobs/blob-store';
import { openBucket } from '../../src/blobs/bucket';
import { PART_BYTES } from '../../src/blobs/s3-arrival';
import type { Sha256 } from '../../src/domain/ids';
import { sha256 } from '../../src/lib/hash';
import { ReadyAnswer } from '../../src/protocol/readiness';
import { type BucketStorages, startBucketStorages } from '../support/bucket-storages';
import { OWNER } from '../support/swift';
import { until } from '../support/until';

let all: BucketStorages;
beforeAll(async () => {
  all = await startBucketStorages();
});
afterAll(() => all?.[Symbol.asyncDispose]());

const book = randomBytes(3 * PART_BYTES);
const name = sha256(book) as Sha256;

/** Sends the beginning of the book, as one request. */
async function sendBeginning(url: string, bytes: number): Promise<number> {
  const { address: owner } = all.wallet;
  const expiresAtMs = Date.now() + 60_000;
  const signature = await all.sign({ owner, blob: `0x${name}`, bytes: book.length, expiresAtMs });
  const headers = { authorization: `Emeth ${owner} ${expiresAtMs} ${signature}`, 'upload-length': String(book.length) };
  const answer = await fetch(`${url}/uploads/${name}`, { method: 'PUT', headers, body: book.subarray(0, bytes) });
  return answer.status;
}

async function offsetAt(url: string): Promise<number> {
  const answer = await fetch(`${url}/uploads/${name}`, { method: 'HEAD' });
  return Number(answer.headers.get('upload-offset'));
}

test('storage killed in an upload: the other goes on where the bucket stands', async () => {
  const [first, second] = all.storages;
  using bucket = await openBucket(all.bucket);
  expect(await sendBeginning(first.url, 2 * PART_BYTES + 1000)).toBe(202);
  await until(async () => (await bucket.size(`emeth/incoming/${name}`)) !== undefined);
  process.kill(first.role.pid, 'SIGKILL');
  await first.role.exited;
  expect([PART_BYTES, 2 * PART_BYTES]).toContain(await offsetAt(second.url));

  const here = new BlobStore(join(all.dir, 'here'));
  await here.addBytes(book);
  await second.remote.upload(name, here, all.wallet.address, all.sign);
  await first.restart();
  expect(await first.remote.size(name)).toBe(book.length);
  const there = new BlobStore(join(all.dir, 'there'));
  await second.remote.download(name, there, book.length, { pass: all.pass });
  expect((await readFile(there.path(name))).equals(book)).toBe(true);
  expect(await bucket.size(`emeth/incoming/${name}`)).toBeUndefined();
});

test('storage over a bucket that answers: ready', async () => {
  const { origin } = new URL(all.storages[1].url);
  const { checks } = ReadyAnswer.parse(await (await fetch(`${origin}/readyz`)).json());
  expect(checks).toContainEqual({ name: 'bucket', ok: true, detail: 'can be listed' });
});

test('logs of both storages: no secret in them', async () => {
  for (const storage of ['storage-a', 'storage-b']) {
    const log = await readFile(join(all.dir, `${storage}.log`), 'utf8');
    expect(log).toContain('Storage ready');
    expect(log).not.toContain(OWNER.secretAccessKey);
  }
});
