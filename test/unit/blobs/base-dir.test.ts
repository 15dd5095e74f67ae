/** Directories of bases: made of blobs whole or not at all, of good lists alone, and removed again. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBaseDir, removeBaseDirs } from '../../../src/blobs/base-dir';
import { BlobStore } from '../../../src/blobs/blob-store';
import type { Sha256 } from '../../../src/domain/ids';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import { openScratch } from '../../support/scratch';
import { listBase, storeBase, tinyBase } from '../../support/tiny-base';

/** A store with bases in it, another that they are fetched into, and the place for their directories. */
async function openPlace(maxBytes = 1 << 20) {
  const scratch = await openScratch();
  const far = new BlobStore(scratch.file('far'));
  const blobs = new BlobStore(scratch.file('blobs'));
  const asked: string[] = [];
  const parts = {
    root: scratch.file('bases'),
    blobs,
    maxBytes,
    async fetch(name: Sha256, most: number) {
      asked.push(name);
      const found = await far.stat(name);
      if (!found || found.bytes > most) throw new Error(`no ${name} of ${most} bytes`);
      await blobs.add(far.path(name), { move: false });
    },
  };
  return { ...scratch, far, blobs, parts, asked };
}

test('base elsewhere: its files are fetched once and linked, for nobody to write', async () => {
  await using place = await openPlace();
  const list = await storeBase(place.far);
  const both = await Promise.all([openBaseDir(list, place.parts), openBaseDir(list, place.parts)]);
  const [base] = both;
  expect(both[1]).toEqual(base);
  expect((await readdir(base.path)).sort()).toEqual(Object.keys(tinyBase()).sort());
  for (const { name, sha256: blob } of base.files) {
    const [here, stored] = await Promise.all([stat(join(base.path, name)), stat(place.blobs.path(blob))]);
    expect([name, here.ino, here.mode & 0o222]).toEqual([name, stored.ino, 0]);
  }
  expect(place.asked).toHaveLength(Object.keys(tinyBase()).length + 1);
  await openBaseDir(list, place.parts);
  expect(place.asked).toHaveLength(Object.keys(tinyBase()).length + 1);
});

test('what a crash left half made, or a file that is gone: made anew', async () => {
  await using place = await openPlace();
  const list = await storeBase(place.far);
  const left = join(place.parts.root, `${list}.making`);
  await mkdir(left, { recursive: true });
  await writeFile(join(left, 'config.json'), 'half');
  const { path } = await openBaseDir(list, place.parts);
  await rm(join(path, 'model.safetensors'));
  await openBaseDir(list, place.parts);
  expect((await readdir(path)).sort()).toEqual(Object.keys(tinyBase()).sort());
  expect(await readFile(join(path, 'config.json'))).toEqual(tinyBase()['config.json']);
  expect(await readdir(place.parts.root)).toEqual([list]);
});

test('fetch that fails: nothing is made, and the next one goes on', async () => {
  await using place = await openPlace();
  const list = await storeBase(place.far);
  const weights = sha256(tinyBase()['model.safetensors'] ?? '') as Sha256;
  await place.far.remove(weights);
  await expect(openBaseDir(list, place.parts)).rejects.toThrow(`no ${weights}`);
  expect(existsSync(join(place.parts.root, list))).toBe(false);
  await storeBase(place.far);
  expect((await openBaseDir(list, place.parts)).files).toHaveLength(5);
});

test('base above the limit: refused before any file is fetched', async () => {
  await using place = await openPlace(1000);
  const list = await storeBase(place.far);
  await expect(openBaseDir(list, place.parts)).rejects.toMatchObject({
    detail: { code: 'base/too-large', maxBytes: 1000 },
  });
  expect(place.asked).toEqual([list]);
});

describe('bad lists', () => {
  const good = JSON.parse(listBase().text) as {
    format: string;
    files: { name: string; sha256: string; bytes: number }[];
  };
  const named = (name: string, bytes = 1) => canonicalJson({ ...good, files: [{ ...good.files[0], name, bytes }] });
  test.each([
    ['no JSON', 'hello'],
    ['spaces', JSON.stringify(good, null, 1)],
    ['another format', canonicalJson({ ...good, format: 'emeth-directory-2' })],
    ['something besides', canonicalJson({ ...good, more: 1 })],
    ['no files', canonicalJson({ ...good, files: [] })],
    ['other order', canonicalJson({ ...good, files: [...good.files].reverse() })],
    ['a file twice', canonicalJson({ ...good, files: good.files.flatMap((file) => [file, file]) })],
    ['an empty file', canonicalJson({ ...good, files: [{ ...good.files[0], bytes: 0 }] })],
    ['a folder', named('a/config.json')],
    ['a way out', named('..')],
    ['a hidden file', named('.config.json')],
    ['code', named('modeling_gpt2.py')],
    ['pickled weights', named('pytorch_model.bin')],
    ['an adapter', named('adapter_config.json')],
    ['a tokenizer of gigabytes', named('tokenizer.json', 2 ** 32)],
    ['a README of megabytes', named('README.md', 2 ** 22)],
  ])('%s: base/bad-list', async (_what, text) => {
    await using place = await openPlace();
    const { sha256: list } = await place.far.addBytes(Buffer.from(text));
    await expect(openBaseDir(list, place.parts)).rejects.toMatchObject({ code: 'base/bad-list' });
    expect(existsSync(place.parts.root)).toBe(false);
  });

  test('size that is not the file: base/bad-list', async () => {
    await using place = await openPlace();
    await storeBase(place.far);
    const files = good.files.map((file) => (file.name === 'config.json' ? { ...file, bytes: file.bytes + 1 } : file));
    const { sha256: list } = await place.far.addBytes(Buffer.from(canonicalJson({ ...good, files })));
    await expect(openBaseDir(list, place.parts)).rejects.toThrow(/config\.json has not \d+ bytes/);
  });
});

test('directories that nobody needs: removed, unless they were opened a moment ago', async () => {
  await using place = await openPlace();
  const old = new Date(Date.now() - 2 * 3600_000);
  const lists = [tinyBase(), tinyBase({ 'README.md': 'b' }), tinyBase({ 'README.md': 'c' })];
  const [needed, unneeded, recent] = await Promise.all(lists.map((files) => storeBase(place.far, files)));
  for (const list of [needed, unneeded, recent]) await openBaseDir(list as Sha256, place.parts);
  await mkdir(join(place.parts.root, 'left.making'));
  for (const name of [needed, unneeded, 'left.making']) await utimes(join(place.parts.root, name as string), old, old);
  expect(await removeBaseDirs(place.parts.root, (list) => list === needed)).toEqual([unneeded]);
  expect((await readdir(place.parts.root)).sort()).toEqual([needed, recent].sort());
});
