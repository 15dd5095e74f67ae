/** The bases that a machine keeps: what goes when another needs the room, and what never does. */
import { existsSync, readdirSync, utimesSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { BaseCache } from '../../../src/blobs/base-cache';
import { BlobStore } from '../../../src/blobs/blob-store';
import { openScratch } from '../../support/scratch';
import { listBase, storeBase, tinyBase } from '../../support/tiny-base';

type Name = 'a' | 'b' | 'c';
const filesOf = (name: Name) => tinyBase({ 'README.md': `${name}, one of three bases.` });
/** In the order in which they are fetched. */
const files = listBase(filesOf('a')).files.sort((one, other) => (one.name < other.name ? -1 : 1));
/** Of each base. */
const BYTES = files.reduce((sum, file) => sum + file.bytes, 0);

let scratch: Awaited<ReturnType<typeof openScratch>>;
let there: BlobStore;
beforeEach(async () => {
  scratch = await openScratch();
  there = new BlobStore(scratch.file('there'));
  for (const name of ['a', 'b', 'c'] as const) await storeBase(there, filesOf(name));
});
afterEach(() => scratch[Symbol.asyncDispose]());

/** Opens the cache of a machine with room for so many bases; a later one is that of a restarted process. */
function openCache({ room = 9, freeBytes = 1e12 } = {}) {
  const blobs = new BlobStore(scratch.file('own'));
  const fetched: string[] = [];
  const parts = { root: scratch.file('bases'), maxBytes: room * BYTES, blobs, freeBytes: async () => freeBytes };
  const cache = new BaseCache(parts);
  const listOf = (name: Name) => listBase(filesOf(name)).list;
  const open = async (name: Name, fails?: (sha256: string) => boolean) =>
    cache.open({ list: listOf(name), bytes: BYTES }, async (sha256) => {
      if (fails?.(sha256)) throw new Error('The line is cut.');
      fetched.push(sha256);
      await blobs.add(there.path(sha256), { move: false });
    });
  const kept = () => (['a', 'b', 'c'] as const).filter((name) => existsSync(cache.path(listOf(name))));
  const age = (name: Name, hours: number) => {
    const then = new Date(Date.now() - hours * 3600_000);
    utimesSync(cache.path(listOf(name)), then, then);
  };
  return { cache, blobs, fetched, listOf, open, kept, age };
}

test('base opened twice: fetched once, and only its list stays among the blobs', async () => {
  const { blobs, fetched, listOf, open } = openCache();
  const { path } = await open('a');
  expect(readdirSync(path).sort()).toEqual(files.map(({ name }) => name));
  const again = openCache();
  await again.open('a');
  expect([fetched.length, again.fetched]).toEqual([1 + files.length, []]);
  const left: string[] = [];
  for await (const { sha256 } of blobs.list()) left.push(sha256);
  expect(left).toEqual([listOf('a')]);
});

test('no room for a third: the one used longest ago goes, also after a restart', async () => {
  const first = openCache({ room: 2.5 });
  for (const name of ['a', 'b'] as const) (await first.open(name))[Symbol.dispose]();
  first.age('a', 1);
  first.age('b', 2);
  const again = openCache({ room: 2.5 });
  await again.open('c');
  expect(again.kept()).toEqual(['a', 'c']);
  expect(await again.cache.spareBytes()).toBe(BYTES);
});

test('the one used longest ago is in use: another goes', async () => {
  const { open, kept, age } = openCache({ room: 2.5 });
  await open('a');
  (await open('b'))[Symbol.dispose]();
  age('a', 2);
  await open('c');
  expect(kept()).toEqual(['a', 'c']);
});

test('all in use: the next is refused, and goes in once one is given back', async () => {
  const { open, kept } = openCache({ room: 2.5 });
  const a = await open('a');
  await open('b');
  const refused = { code: 'base/no-room', bytes: BYTES, maxBytes: 2.5 * BYTES, inUseBytes: 2 * BYTES };
  await expect(open('c')).rejects.toMatchObject({ detail: refused });
  a[Symbol.dispose]();
  a[Symbol.dispose]();
  await open('c');
  expect(kept()).toEqual(['b', 'c']);
});

test('base larger than the limit: refused before anything is fetched or removed', async () => {
  const { open, fetched, kept } = openCache({ room: 0.9 });
  await expect(open('a')).rejects.toMatchObject({ detail: { code: 'base/no-room', inUseBytes: 0 } });
  expect([fetched, kept()]).toEqual([[], []]);
});

test('disk too full for another: bases that nobody uses go', async () => {
  (await openCache().open('a'))[Symbol.dispose]();
  const full = openCache({ freeBytes: BYTES / 2 });
  await full.open('b');
  expect(full.kept()).toEqual(['b']);
  // One that is here already needs no room.
  await openCache({ freeBytes: BYTES / 2 }).open('b');
});

test('fetch fails in the middle: the rest alone is fetched the next time', async () => {
  const last = files.at(-1)!.sha256;
  const first = openCache();
  await expect(first.open('a', (sha256) => sha256 === last)).rejects.toThrow('The line is cut.');
  expect(first.kept()).toEqual([]);
  // Left by a process that was killed while it made another.
  await mkdir(scratch.file('bases/leftover.making'), { recursive: true });
  const again = openCache();
  await again.open('a');
  expect(again.fetched).toEqual([last]);
  expect(readdirSync(scratch.file('bases'))).toEqual([again.listOf('a')]);
});
