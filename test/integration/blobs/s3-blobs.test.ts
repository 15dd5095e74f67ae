/**
 * Blobs in a bucket of a real S3 service: pieces of any size, several storages over one bucket,
 * interruptions.
 */
import { randomBytes } from 'node:crypto';
import { decodeProgress } from '../../../src/blobs/arrival-progress';
import type { FoundBlob } from '../../../src/blobs/blob-store';
import { type Bucket, type BucketOptions, openBucket } from '../../../src/blobs/bucket';
import { PART_BYTES } from '../../../src/blobs/s3-arrival';
import { S3Blobs } from '../../../src/blobs/s3-blobs';
import type { Sha256 } from '../../../src/domain/ids';
import { freeBuffer } from '../../../src/lib/free-buffer';
import { sha256 } from '../../../src/lib/hash';
import { takePieces } from '../../../src/lib/take-pieces';
import { startSwift, type TestS3 } from '../../support/swift';
import { until } from '../../support/until';

let service: TestS3;
beforeAll(async () => {
  service = await startSwift();
});
afterAll(() => service[Symbol.asyncDispose]());

/** Two parts and a little more. */
const book = randomBytes(2 * PART_BYTES + 1000);
const bookName = sha256(book) as Sha256;

async function openPair(): Promise<{ first: S3Blobs; second: S3Blobs; bucket: Bucket } & AsyncDisposable> {
  const options = await service.createBucket();
  const [first, second, bucket] = await Promise.all([openBlobs(options), openBlobs(options), openBucket(options)]);
  return {
    first,
    second,
    bucket,
    async [Symbol.asyncDispose]() {
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
      bucket[Symbol.dispose]();
    },
  };
}

async function openBlobs(options: BucketOptions): Promise<S3Blobs> {
  return new S3Blobs(await openBucket(options), 'emeth/');
}

/** Appends a piece, as one request of an upload does; returns the offset after it. */
async function send(blobs: S3Blobs, offset: number, bytes: Uint8Array, name = bookName): Promise<number> {
  const part = await blobs.openPart(name, offset);
  try {
    expect(part.offset).toBe(offset);
    await part.append(bytes);
    return part.offset;
  } finally {
    await part.close();
  }
}

async function finish(blobs: S3Blobs, name = bookName): Promise<void> {
  const part = await blobs.openPart(name);
  await part.finish().finally(() => part.close());
}

async function readAll(blobs: S3Blobs, offset?: number, bytes?: number, name = bookName): Promise<Buffer> {
  return Buffer.concat(await (await blobs.openRead(name, offset, bytes)).toArray());
}

async function listAll(blobs: S3Blobs): Promise<FoundBlob[]> {
  const found = [];
  for await (const blob of blobs.list()) found.push(blob);
  return found;
}

async function keysOf(bucket: Bucket): Promise<string[]> {
  const keys = [];
  for await (const { key } of bucket.list('')) keys.push(key);
  for await (const { key } of bucket.openUploads('')) keys.push(`unfinished ${key}`);
  return keys;
}

test('pieces of odd sizes: one blob, read whole and in ranges', async () => {
  await using pair = await openPair();
  const { first, second, bucket } = pair;
  for (let offset = 0; offset < book.length; ) {
    offset = await send(first, offset, book.subarray(offset, offset + 3_000_001));
    expect(await second.stat(bookName)).toBeUndefined();
  }
  await finish(first);
  for (const blobs of [first, second]) {
    expect(await blobs.stat(bookName)).toEqual({ bytes: book.length });
    expect((await readAll(blobs)).equals(book)).toBe(true);
    expect((await readAll(blobs, PART_BYTES - 5, 10)).equals(book.subarray(PART_BYTES - 5, PART_BYTES + 5))).toBe(true);
    expect((await readAll(blobs, book.length - 7)).equals(book.subarray(-7))).toBe(true);
    expect(await blobs.partBytes(bookName)).toBe(0);
  }
  expect(await keysOf(bucket)).toEqual([`emeth/blobs/${bookName}`]);
}, 60_000);

test('small blob: one object, without a multipart upload', async () => {
  await using pair = await openPair();
  const small = Buffer.from('Call me Ishmael.');
  const name = sha256(small) as Sha256;
  await send(pair.first, 0, small, name);
  expect(await pair.first.partBytes(name)).toBe(small.length);
  await finish(pair.first, name);
  expect((await readAll(pair.second, 0, undefined, name)).equals(small)).toBe(true);
  expect(await listAll(pair.second)).toEqual([{ sha256: name, bytes: small.length, isPart: false }]);
  await pair.second.remove(name);
  expect(await pair.first.stat(name)).toBeUndefined();
  await expect(pair.first.openRead(name)).rejects.toMatchObject({ code: 'blobs/gone' });
});

test.each([
  ['small', 100],
  ['of several parts', book.length],
])('other bytes than named, %s: refused, and nothing is kept', async (_size, bytes) => {
  await using pair = await openPair();
  const name = sha256('something else') as Sha256;
  await send(pair.first, 0, book.subarray(0, bytes), name);
  await expect(finish(pair.first, name)).rejects.toMatchObject({ code: 'blobs/hash-mismatch' });
  expect(await pair.first.partBytes(name)).toBe(0);
  expect(await keysOf(pair.bucket)).toEqual([]);
});

test('each piece at another storage: one blob', async () => {
  await using pair = await openPair();
  for (let offset = 0, turn = 0; offset < book.length; turn += 1) {
    const blobs = turn % 2 === 0 ? pair.first : pair.second;
    // Its sender asks where it stands, as a client that was refused does.
    while ((await blobs.partBytes(bookName)) !== offset) await new Promise((resolve) => setTimeout(resolve, 10));
    offset = await send(blobs, offset, book.subarray(offset, offset + PART_BYTES));
  }
  await finish(pair.first);
  expect((await readAll(pair.second)).equals(book)).toBe(true);
  expect(await keysOf(pair.bucket)).toEqual([`emeth/blobs/${bookName}`]);
});

test('two storages receive one blob at once: both finish, and it is whole', async () => {
  await using pair = await openPair();
  await Promise.all(
    [pair.first, pair.second].map(async (blobs) => {
      const part = await blobs.openPart(bookName, 0);
      for (let at = 0; at < book.length; at += 2 ** 20) await part.append(book.subarray(at, at + 2 ** 20));
      await part.finish();
    }),
  );
  expect((await readAll(pair.first)).equals(book)).toBe(true);
  expect(await keysOf(pair.bucket)).toEqual([`emeth/blobs/${bookName}`]);
});

test('storage closed in the middle of a part: another goes on at the same byte', async () => {
  await using pair = await openPair();
  const middle = PART_BYTES + 12_345;
  await send(pair.first, 0, book.subarray(0, middle));
  await pair.first[Symbol.asyncDispose]();
  expect(await pair.second.partBytes(bookName)).toBe(middle);
  expect(await listAll(pair.second)).toEqual([{ sha256: bookName, bytes: middle, isPart: true }]);
  await send(pair.second, middle, book.subarray(middle));
  await finish(pair.second);
  expect((await readAll(pair.second)).equals(book)).toBe(true);
});

test('more uploads than stay in memory: all go on', async () => {
  await using pair = await openPair();
  const blobs = Array.from({ length: 6 }, (_, index) =>
    Buffer.concat([Buffer.from(`${index}`), book.subarray(0, 5000)]),
  );
  for (const [from, to] of [
    [0, 1000],
    [1000, 2000],
    [2000, 5001],
  ] as const) {
    for (const bytes of blobs) await send(pair.first, from, bytes.subarray(from, to), sha256(bytes) as Sha256);
  }
  for (const bytes of blobs) await finish(pair.first, sha256(bytes) as Sha256);
  for (const bytes of blobs) expect(await pair.second.stat(sha256(bytes) as Sha256)).toEqual({ bytes: 5001 });
});

test('part open: busy for another opener here, and free once closed', async () => {
  await using pair = await openPair();
  const part = await pair.first.openPart(bookName, 0);
  await expect(pair.first.openPart(bookName, 0)).rejects.toMatchObject({ code: 'blobs/busy' });
  await part.close();
  await (await pair.first.openPart(bookName, 0)).close();
});

test('upload aborted in the bucket behind the storage: starts again and finishes', async () => {
  await using pair = await openPair();
  await send(pair.first, 0, book);
  while ((await pair.second.partBytes(bookName)) < 2 * PART_BYTES)
    await new Promise((resolve) => setTimeout(resolve, 10));
  for await (const { key, uploadId } of pair.bucket.openUploads('')) await pair.bucket.abortUpload(key, uploadId);
  await expect(finish(pair.first)).rejects.toMatchObject({ code: 's3/upload-lost' });
  expect(await pair.second.partBytes(bookName)).toBe(0);
  await send(pair.first, 0, book);
  await finish(pair.first);
  expect((await readAll(pair.second)).equals(book)).toBe(true);
});

test('parts that arrive out of order: noted up to the first that lacks', async () => {
  const options = await service.createBucket();
  await using second = await openBlobs(options);
  const bucket = await openBucket(options);
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { writePart, write } = bucket;
  const noted: (number | undefined)[] = [];
  bucket.write = (key, bytes) => {
    noted.push(decodeProgress(Buffer.from(bytes))?.tags.length);
    return write.call(bucket, key, bytes);
  };
  let isSecondThere = false;
  bucket.writePart = async (...part) => {
    if (part[2] === 1) await held;
    const tag = await writePart.apply(bucket, part);
    isSecondThere ||= part[2] === 2;
    return tag;
  };
  await using first = new S3Blobs(bucket, 'emeth/');
  await send(first, 0, book);
  await until(async () => isSecondThere);
  expect(await second.partBytes(bookName)).toBe(0);
  release();
  await until(async () => (await second.partBytes(bookName)) === 2 * PART_BYTES);
  expect(noted).toEqual([2]);
  await finish(first);
  expect((await readAll(second)).equals(book)).toBe(true);
});

test('next piece where its upload is known: expected there, at its offset alone', async () => {
  await using pair = await openPair();
  const { first, second } = pair;
  await send(first, 0, book.subarray(0, 1000));
  expect([first.expects(bookName, 1000), first.expects(bookName, 0), second.expects(bookName, 1000)]).toEqual([
    true,
    false,
    false,
  ]);
});

test('upload that another storage finished, continued here: the blob stays whole', async () => {
  await using pair = await openPair();
  const { first, second } = pair;
  await send(first, 0, book.subarray(0, PART_BYTES));
  await until(async () => (await second.partBytes(bookName)) === PART_BYTES);
  await send(second, PART_BYTES, book.subarray(PART_BYTES));
  await finish(second);
  expect(first.expects(bookName, PART_BYTES)).toBe(true);
  await send(first, PART_BYTES, book.subarray(PART_BYTES));
  // Whether the service still takes the parts is its own affair.
  await finish(first).catch((error) => expect(error).toMatchObject({ code: 's3/upload-lost' }));
  expect((await readAll(first)).equals(book)).toBe(true);
  expect(await keysOf(pair.bucket)).toEqual([`emeth/blobs/${bookName}`]);
});

test('blob read piece by piece: what the sockets read does not pile up', async () => {
  await using pair = await openPair();
  await send(pair.first, 0, book);
  await finish(pair.first);
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  await takePieces(await pair.second.openRead(bookName), async (piece) => {
    freeBuffer(piece);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  });
  expect(most).toBeLessThan(PART_BYTES / 2);
});

test('old unfinished uploads: dropped; those that go on stay', async () => {
  await using pair = await openPair();
  const { first, second, bucket } = pair;
  const old = await bucket.startUpload(`emeth/blobs/${'00'.repeat(32)}`);
  expect(old).not.toBe('');
  await send(first, 0, book.subarray(0, PART_BYTES));
  while ((await second.partBytes(bookName)) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await second.dropOldParts(Date.now() - 60_000);
  expect(await keysOf(bucket)).toHaveLength(3);
  await second.dropOldParts(Date.now() + 60_000);
  expect(await keysOf(bucket)).toEqual([]);
});
