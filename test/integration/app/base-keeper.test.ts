/** Bases of a master on its disk: kept while a job or the storage's rules need them, gone for room. */
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { BaseKeeper } from '../../../src/app/base-keeper';
import { openBaseDir } from '../../../src/blobs/base-dir';
import { BlobStore } from '../../../src/blobs/blob-store';
import { Address, type Sha256 } from '../../../src/domain/ids';
import { silentLogger } from '../../../src/lib/logger';
import { openStore } from '../../../src/store/open';
import { openScratch } from '../../support/scratch';
import { openStillClock } from '../../support/still-clock';
import { openTestSpace } from '../../support/storage-space';
import { recordJob } from '../../support/stored-jobs';
import { listBase, storeBase, tinyBase } from '../../support/tiny-base';

const own = Address.parse(`0x${'02'.repeat(20)}`);
const hours = (count: number) => new Date(Date.now() - count * 3_600_000);

/** A master's disk with two bases, opened long ago; an open job needs the first. */
async function openPlace() {
  const scratch = await openScratch();
  const store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
  const blobs = new BlobStore(scratch.file('blobs'));
  const { clock } = openStillClock();
  const { space } = openTestSpace({ blobs, store, clock });
  const root = scratch.file('bases');
  const floor = { room: Number.MAX_SAFE_INTEGER, roomBytes: async () => floor.room, forget: () => undefined };
  const bases = { needed: tinyBase(), other: tinyBase({ 'config.json': '{}' }) };
  const lists: Sha256[] = [];
  for (const files of Object.values(bases)) {
    const list = await storeBase(blobs, files);
    const parts = { root, blobs, maxBytes: 1 << 20, fetch: async () => Promise.reject(new Error('it is here')) };
    await openBaseDir(list, parts);
    await utimes(join(root, list), hours(2), hours(2));
    const stored = [...listBase(files).files, { sha256: list, bytes: listBase(files).text.length }];
    for (const { sha256, bytes } of stored) await space.noteOwn({ sha256, bytes, owner: own });
    lists.push(list);
  }
  const [needed, other] = lists as [Sha256, Sha256];
  const params = JSON.stringify({ tune: 'lora', base: `sha256:${needed}` });
  await recordJob(store, 1, { type: 'JobRequested', requester: own, dataset: 'https://a.example', params });
  const deps = { root, blobs, needs: store.storageNeeds, space, floor, own, clock, logger: silentLogger };
  return {
    keeper: new BaseKeeper(deps),
    ...{ blobs, floor, needed, other, bases },
    here: () => readdir(root),
    isStored: async (name: Sha256) => (await blobs.stat(name)) !== undefined,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

test('disk with room: nothing goes', async () => {
  await using place = await openPlace();
  await place.keeper.makeRoom(1000);
  expect(await place.here()).toHaveLength(2);
});

test('disk without room: what no job needs goes, and its blobs that no other has', async () => {
  await using place = await openPlace();
  place.floor.room = 0;
  await place.keeper.makeRoom(1000);
  expect(await place.here()).toEqual([place.needed]);
  const [config = '', weights = ''] = ['config.json', 'model.safetensors'].map(
    (name) => listBase(place.bases.other).files.find((file) => file.name === name)?.sha256,
  );
  expect(await place.isStored(config as Sha256)).toBe(false);
  expect(await place.isStored(place.other)).toBe(false);
  // The other base has the same weights.
  expect(await place.isStored(weights as Sha256)).toBe(true);
});

test('list that the rules of the storage have removed: its directory goes too', async () => {
  await using place = await openPlace();
  await place.blobs.remove(place.other);
  const stop = new AbortController();
  const running = place.keeper.run(stop.signal);
  while ((await place.here()).length > 1) await new Promise((resolve) => setTimeout(resolve, 10));
  stop.abort();
  await running;
  expect(await place.here()).toEqual([place.needed]);
});
