/** Blobs on disk: adding, resuming, wrong hashes, concurrent writers, a full disk. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { BlobStore } from '../../../src/blobs/blob-store';
import type { Sha256 } from '../../../src/domain/ids';
import { sha256 } from '../../../src/lib/hash';
import { openScratch } from '../../support/scratch';

const nameOf = (bytes: string | Uint8Array) => sha256(bytes) as Sha256;
const whale = Buffer.from('Call me Ishmael.');

describe('add', () => {
  test('file added: a copy under its hash', async () => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.file('blobs'));
    await writeFile(scratch.file('book'), whale);
    expect(await blobs.add(scratch.file('book'), { move: false })).toEqual({ sha256: nameOf(whale), bytes: 16 });
    expect(await readFile(blobs.path(nameOf(whale)))).toEqual(whale);
    expect(blobs.path(nameOf(whale))).toContain(`/${nameOf(whale).slice(0, 2)}/`);
    expect(existsSync(scratch.file('book'))).toBe(true);
  });

  test.each([false, true])('file moved in, already stored %s: the file is gone', async (isKnown) => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.file('blobs'));
    if (isKnown) await blobs.addBytes(whale);
    await writeFile(scratch.file('book'), whale);
    expect(await blobs.add(scratch.file('book'), { move: true })).toEqual({ sha256: nameOf(whale), bytes: 16 });
    expect(existsSync(scratch.file('book'))).toBe(false);
    expect(await blobs.stat(nameOf(whale))).toEqual({ bytes: 16 });
  });

  test('link in the place of a file that is moved in: refused, its target untouched', async () => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.file('blobs'));
    await writeFile(scratch.file('key'), whale);
    await symlink(scratch.file('key'), scratch.file('update'));
    const adding = blobs.add(scratch.file('update'), { move: true });
    await expect(adding).rejects.toMatchObject({ code: 'files/not-a-file' });
    expect(await blobs.stat(nameOf(whale))).toBeUndefined();
    expect(await readFile(scratch.file('key'))).toEqual(whale);
  });

  test('file behind a folder that is a link to elsewhere: refused', async () => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.file('blobs'));
    for (const name of ['home', 'job']) await mkdir(scratch.file(name));
    await writeFile(scratch.file('home/key'), whale);
    await symlink(scratch.file('home'), scratch.file('job/model'));
    const adding = blobs.add(scratch.file('job/model/key'), { move: false, within: scratch.file('job') });
    await expect(adding).rejects.toMatchObject({ code: 'files/outside' });
    expect(await blobs.stat(nameOf(whale))).toBeUndefined();
  });

  test('same bytes added by many at once: one blob', async () => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.file('blobs'));
    await writeFile(scratch.file('book'), whale);
    const adds = Array.from({ length: 8 }, (_, i) =>
      i % 2 ? blobs.addBytes(whale) : blobs.add(scratch.file('book'), { move: false }),
    );
    for (const added of await Promise.all(adds)) expect(added.sha256).toBe(nameOf(whale));
    expect(await readFile(blobs.path(nameOf(whale)))).toEqual(whale);
    expect(await blobs.partBytes(nameOf(whale))).toBe(0);
  });

  test('interrupted transfer of the same blob: replaced', async () => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.file('blobs'));
    const transfer = await blobs.openPart(nameOf(whale));
    await transfer.append(whale.subarray(0, 5));
    const added = blobs.addBytes(whale);
    await transfer.close();
    await added;
    expect(await readFile(blobs.path(nameOf(whale)))).toEqual(whale);
  });
});

describe('openPart', () => {
  test('interrupted at any byte, any number of times: the blob ends whole', async () => {
    await using scratch = await openScratch();
    const piece = fc.record({ piece: fc.uint8Array({ minLength: 1, maxLength: 300 }), isRestarted: fc.boolean() });
    const pieces = fc.array(piece, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(pieces, fc.string(), async (parts, directory) => {
        const whole = Buffer.concat(parts.map(({ piece }) => piece));
        const dir = scratch.file(sha256(directory + parts.length));
        let sent = 0;
        let blobs = new BlobStore(dir);
        for (const { piece, isRestarted } of parts) {
          if (isRestarted) blobs = new BlobStore(dir);
          const part = await blobs.openPart(nameOf(whole));
          expect(part.offset).toBe(sent);
          await part.append(piece);
          sent += piece.length;
          await part.close();
        }
        expect(await blobs.partBytes(nameOf(whole))).toBe(whole.length);
        const last = await blobs.openPart(nameOf(whole));
        await last.finish();
        expect(await buffer(blobs.openRead(nameOf(whole)))).toEqual(whole);
        await blobs.remove(nameOf(whole));
        expect(await blobs.stat(nameOf(whole))).toBeUndefined();
      }),
      { numRuns: 30 },
    );
  });

  test.each([false, true])('large, in pieces, process restarted %s: the blob ends whole', async (isRestarted) => {
    await using scratch = await openScratch();
    const whole = randomBytes(5_000_003);
    let blobs = new BlobStore(scratch.path);
    for (let at = 0; at < whole.length; at += 900_001) {
      if (isRestarted) blobs = new BlobStore(scratch.path);
      const part = await blobs.openPart(nameOf(whole));
      expect(part.offset).toBe(at);
      const end = Math.min(whole.length, at + 900_001);
      await part.append([whole.subarray(at, at + 10), whole.subarray(at + 10, end)]);
      await part.close();
    }
    const last = await blobs.openPart(nameOf(whole));
    await last.finish();
    expect(sha256(await readFile(blobs.path(nameOf(whole))))).toBe(nameOf(whole));
  });

  test('large, one bit of its first piece wrong: blobs/hash-mismatch, then sent again', async () => {
    await using scratch = await openScratch();
    const whole = randomBytes(3_000_000);
    const name = nameOf(whole);
    const part = await new BlobStore(scratch.path).openPart(name);
    const wrong = Buffer.from(whole);
    wrong[1000] = (wrong[1000] ?? 0) ^ 1;
    for (let at = 0; at < whole.length; at += 500_000) await part.append(wrong.subarray(at, at + 500_000));
    await expect(part.finish()).rejects.toMatchObject({ code: 'blobs/hash-mismatch' });
    expect(part.offset).toBe(0);
    for (let at = 0; at < whole.length; at += 500_000) await part.append(whole.subarray(at, at + 500_000));
    await part.finish();
  });

  test.each([
    ['beside the writes', 'datasync'],
    ['at the end', 'sync'],
  ] as const)('disk fails once %s: nothing is taken for stored', async (_, call) => {
    await using scratch = await openScratch();
    const handle = await open(scratch.path, 'r');
    const syncs = jest.spyOn(Object.getPrototypeOf(handle) as typeof handle, call);
    await handle.close();
    syncs.mockRejectedValueOnce(Object.assign(new Error('the disk failed'), { code: 'EIO' }));
    const whole = randomBytes(20 * 2 ** 20);
    const blobs = new BlobStore(scratch.path);
    const part = await blobs.openPart(nameOf(whole));
    await part.append(whole);
    await expect(part.finish()).rejects.toThrow('the disk failed');
    expect(await blobs.stat(nameOf(whole))).toBeUndefined();
    await part.close();
    syncs.mockRestore();
    // What a disk failed to take may be lost, though it is still read as it was written.
    const again = await blobs.openPart(nameOf(whole));
    expect(again.offset).toBe(0);
    await again.append(whole);
    await again.finish();
    expect(await blobs.stat(nameOf(whole))).toEqual({ bytes: whole.length });
  });

  test('disk says at the end that it is full: blobs/disk-full', async () => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.path);
    const part = await blobs.openPart(nameOf(whale));
    await part.append(whale);
    const handle = await open(scratch.path, 'r');
    const syncs = jest.spyOn(Object.getPrototypeOf(handle) as typeof handle, 'sync');
    await handle.close();
    syncs.mockRejectedValueOnce(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
    await expect(part.finish()).rejects.toMatchObject({ code: 'blobs/disk-full' });
    await part.close();
    syncs.mockRestore();
  });

  test.each([0, 7])('wrong bytes after offset %i: blobs/hash-mismatch, and nothing is kept', async (offset) => {
    await using scratch = await openScratch();
    const name = nameOf(whale);
    const first = await new BlobStore(scratch.path).openPart(name);
    await first.append(whale.subarray(0, offset));
    await first.close();
    const blobs = new BlobStore(scratch.path);
    const part = await blobs.openPart(name);
    await part.append(Buffer.from('nonsense'));
    await expect(part.finish()).rejects.toMatchObject({ code: 'blobs/hash-mismatch' });
    expect(part.offset).toBe(0);
    expect(await blobs.stat(name)).toBeUndefined();
    await part.append(whale);
    await part.finish();
    expect(await readFile(blobs.path(name))).toEqual(whale);
  });

  test('part finished: its bytes and its name are on the disk', async () => {
    await using scratch = await openScratch();
    const handle = await open(scratch.path, 'r');
    const syncs = jest.spyOn(Object.getPrototypeOf(handle) as typeof handle, 'sync');
    await handle.close();
    const blobs = new BlobStore(scratch.path);
    const part = await blobs.openPart(nameOf(whale));
    await part.append(whale);
    await part.finish();
    // Once for the file, once for the directory that has its new name.
    expect(syncs).toHaveBeenCalledTimes(2);
    syncs.mockRestore();
  });

  test('second opener: blobs/busy until the first closes', async () => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.path);
    const part = await blobs.openPart(nameOf(whale));
    await expect(blobs.openPart(nameOf(whale))).rejects.toMatchObject({ code: 'blobs/busy' });
    await part.close();
    await (await blobs.openPart(nameOf(whale))).close();
  });

  test('disk full: blobs/disk-full, and the part is released', async () => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.path);
    const partPath = `${blobs.path(nameOf(whale))}.part`;
    await mkdir(dirname(partPath), { recursive: true });
    await symlink('/dev/full', partPath);
    const part = await blobs.openPart(nameOf(whale));
    await expect(part.append(whale)).rejects.toMatchObject({ code: 'blobs/disk-full' });
    await part.close();
    await (await blobs.openPart(nameOf(whale))).close();
  });
});

describe('openRead', () => {
  test('read from an offset: the bytes from there on', async () => {
    await using scratch = await openScratch();
    const blobs = new BlobStore(scratch.path);
    await blobs.addBytes(whale);
    expect((await buffer(blobs.openRead(nameOf(whale), 8))).toString()).toBe('Ishmael.');
  });
});
