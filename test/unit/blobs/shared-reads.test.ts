/** Blobs read by several receivers at once: what they get, and how often the disk is asked. */
import { randomBytes } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { SharedReads } from '../../../src/blobs/shared-reads';
import { openScratch } from '../../support/scratch';

const PIECE = 256 * 1024;
const MIB = 2 ** 20;

/** Counts the bytes that are read from disk. */
async function countReads(path: string) {
  const handle = await open(path, 'r');
  const spy = jest.spyOn(Object.getPrototypeOf(handle) as typeof handle, 'read');
  await handle.close();
  return {
    bytes: async () => {
      const results = await Promise.all(spy.mock.results.map(({ value }) => value as Promise<{ bytesRead: number }>));
      return results.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
    },
    [Symbol.dispose]: () => spy.mockRestore(),
  };
}

async function readAll(reader: Awaited<ReturnType<SharedReads['open']>>, bytes: number, step: number): Promise<Buffer> {
  const whole = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += step) await reader.read(whole.subarray(at, Math.min(bytes, at + step)), at);
  await reader.close();
  return whole;
}

test.each([PIECE, 100_000])('five receivers in steps of %i: whole, and read once', async (step) => {
  await using scratch = await openScratch();
  const path = scratch.file('blob');
  const blob = randomBytes(3 * MIB + 17);
  await writeFile(path, blob);
  using reads = await countReads(path);
  const shared = new SharedReads();
  const readers = await Promise.all([1, 2, 3, 4, 5].map(() => shared.open(path)));
  const read = await Promise.all(readers.map((reader) => readAll(reader, blob.length, step)));
  expect(read.every((bytes) => bytes.equals(blob))).toBe(true);
  // Those that lie across two pieces are read by themselves.
  expect(await reads.bytes()).toBeLessThanOrEqual(blob.length * (step === PIECE ? 1 : 3));
});

test('receivers far apart, in a blob larger than what is kept: each gets its bytes', async () => {
  await using scratch = await openScratch();
  const path = scratch.file('blob');
  const blob = randomBytes(20 * MIB);
  await writeFile(path, blob);
  const shared = new SharedReads();
  const [first, second] = [await shared.open(path), await shared.open(path)];
  const [front, behind] = [Buffer.alloc(blob.length), Buffer.alloc(blob.length)];
  const lag = 12 * MIB;
  for (let at = 0; at < blob.length + lag; at += PIECE) {
    const one = at < blob.length ? first.read(front.subarray(at, at + PIECE), at) : 0;
    const other = at >= lag ? second.read(behind.subarray(at - lag, at - lag + PIECE), at - lag) : 0;
    await Promise.all([one, other]);
  }
  expect(front.equals(blob) && behind.equals(blob)).toBe(true);
  await first.close();
  await second.close();
});

test('one receiver: it reads what it asks for, and no more', async () => {
  await using scratch = await openScratch();
  const path = scratch.file('blob');
  await writeFile(path, randomBytes(MIB));
  using reads = await countReads(path);
  const reader = await new SharedReads().open(path);
  expect(await reader.read(Buffer.alloc(10), 500)).toBe(10);
  expect(await reads.bytes()).toBe(10);
  await reader.close();
});

test('file that is not there: refused, and found once it is', async () => {
  await using scratch = await openScratch();
  const shared = new SharedReads();
  await expect(shared.open(scratch.file('blob'))).rejects.toMatchObject({ code: 'ENOENT' });
  await writeFile(scratch.file('blob'), 'Call me Ishmael.');
  const reader = await shared.open(scratch.file('blob'));
  const into = Buffer.alloc(16);
  expect(await reader.read(into, 8)).toBe(8);
  expect(into.subarray(0, 8).toString()).toBe('Ishmael.');
  await reader.close();
});

test('one of two receivers leaves: the other reads on', async () => {
  await using scratch = await openScratch();
  await writeFile(scratch.file('blob'), 'Call me Ishmael.');
  const shared = new SharedReads();
  const [first, second] = [await shared.open(scratch.file('blob')), await shared.open(scratch.file('blob'))];
  await first.close();
  await first.close();
  const into = Buffer.alloc(4);
  await second.read(into, 0);
  expect(into.toString()).toBe('Call');
  await second.close();
});

test('more blobs at once than pieces are kept: each receiver gets its own bytes', async () => {
  await using scratch = await openScratch();
  const shared = new SharedReads();
  const pairs = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      await writeFile(scratch.file(`blob-${i}`), Buffer.alloc(PIECE, i));
      return [await shared.open(scratch.file(`blob-${i}`)), await shared.open(scratch.file(`blob-${i}`))];
    }),
  );
  const read = await Promise.all(
    pairs.map(async (pair, i) => {
      const into = pair.map(() => Buffer.alloc(PIECE));
      await Promise.all(pair.map((reader, at) => reader.read(into[at] as Buffer, 0)));
      return into.every((bytes) => bytes.equals(Buffer.alloc(PIECE, i)));
    }),
  );
  for (const reader of pairs.flat()) await reader.close();
  expect(read).toEqual(Array(50).fill(true));
});
