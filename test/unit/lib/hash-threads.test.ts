/** Hashes of open files, made by threads: of files that grow, of many at once, of what is not there. */
import { randomBytes } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { sha256 } from '../../../src/lib/hash';
import { FileHash, hashOpenFile, THREADED_BYTES } from '../../../src/lib/hash-threads';
import { openScratch } from '../../support/scratch';

test('file that grows: the hash follows it, and is that of all its bytes', async () => {
  await using scratch = await openScratch();
  await using file = await open(scratch.file('part'), 'a+');
  const pieces = [700_000, 1, 300_000, 13].map((bytes) => randomBytes(bytes));
  const hash = new FileHash();
  let bytes = 0;
  for (const piece of pieces) {
    await file.appendFile(piece);
    bytes += piece.length;
    await hash.advance(file.fd, bytes);
  }
  expect(await hash.digest(file.fd)).toBe(sha256(Buffer.concat(pieces)));
  hash.drop();
});

test('bytes that were hashed are not read again: they may be exchanged', async () => {
  await using scratch = await openScratch();
  await using file = await open(scratch.file('part'), 'w+');
  await file.write('Call me Ahab.', 0);
  const hash = new FileHash();
  await hash.advance(file.fd, 8);
  await file.write('Xxxx xx', 0);
  expect(await hash.digest(file.fd)).toBe(sha256('Call me Ahab.'));
  hash.drop();
});

test('eight files at once: each has the hash of its own bytes', async () => {
  await using scratch = await openScratch();
  const hashed = Array.from({ length: 8 }, async (_, i) => {
    const bytes = randomBytes(THREADED_BYTES + i);
    await using file = await open(scratch.file(`file-${i}`), 'w+');
    await file.writeFile(bytes);
    return (await hashOpenFile(file)) === sha256(bytes);
  });
  expect(await Promise.all(hashed)).toEqual(Array(8).fill(true));
});

test('small file behind large ones: it does not wait for their end', async () => {
  await using scratch = await openScratch();
  const ended: string[] = [];
  const hash = async (name: string, bytes: number) => {
    await using file = await open(scratch.file(name), 'w+');
    await file.truncate(bytes);
    await hashOpenFile(file);
    ended.push(name);
  };
  const large = ['a', 'b', 'c', 'd'].map((name) => hash(name, 64 * 2 ** 20));
  while (!(await Promise.all(['a', 'b', 'c', 'd'].map((name) => sizeOf(scratch.file(name))))).every(Boolean));
  await Promise.all([...large, hash('small', THREADED_BYTES)]);
  expect(ended[0]).toBe('small');
});

test('small file: it has the same hash, without a thread', async () => {
  await using scratch = await openScratch();
  await using file = await open(scratch.file('small'), 'w+');
  await file.writeFile('Call me Ishmael.');
  expect(await hashOpenFile(file)).toBe(sha256('Call me Ishmael.'));
});

test('file shorter than said: the hash fails, and others go on', async () => {
  await using scratch = await openScratch();
  await using file = await open(scratch.file('part'), 'a+');
  await file.appendFile('Call me');
  const hash = new FileHash();
  await expect(hash.advance(file.fd, 16)).rejects.toThrow('it has 7 bytes instead of 16');
  hash.drop();
  const other = new FileHash();
  expect(await other.digest(file.fd)).toBe(sha256('Call me'));
  other.drop();
});

test('file that cannot be read: hash/failed with the reason, as own trouble has a code', async () => {
  await using scratch = await openScratch();
  await using file = await open(scratch.file('written-only'), 'w');
  const hash = new FileHash();
  await expect(hash.digest(file.fd)).rejects.toMatchObject({
    detail: { code: 'hash/failed' },
    message: expect.stringContaining('EBADF'),
  });
  hash.drop();
});

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => ({ size: 0 }))).size;
}
