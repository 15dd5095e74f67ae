/** Bases by reference: found in storages and at hubs, fetched, and refused where they are not as listed. */

import { readBaseFacts } from '../../../src/blobs/base-facts';
import { type BaseOptions, findBase } from '../../../src/blobs/base-source';
import { BlobStore } from '../../../src/blobs/blob-store';
import { openPinnedBase } from '../../../src/blobs/pinned-base';
import type { Sha256 } from '../../../src/domain/ids';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import { openHubServer } from '../../support/hub-server';
import { openScratch } from '../../support/scratch';
import { openTestStorage } from '../../support/storage';
import { listBase, storeBase, TINY_PARAMETERS, tinyBase } from '../../support/tiny-base';

const repo = 'tiny/base';

/** A storage and a hub that have a base, and a store to fetch it into. */
async function openPlace(maxBytes = 1 << 20) {
  const scratch = await openScratch();
  const storage = await openTestStorage();
  const hub = await openHubServer();
  const commit = hub.commit(repo, tinyBase());
  const lists = new BlobStore(scratch.file('lists'));
  const options: BaseOptions = {
    storages: [storage.url],
    allowPrivate: false,
    maxBytes,
    hub: { endpoint: hub.url, attempts: 2 },
  };
  return {
    storage,
    hub,
    commit,
    options,
    lists,
    blobs: new BlobStore(scratch.file('blobs')),
    find: (reference: string) => findBase(reference, options, { pass: storage.pass, lists }),
    async [Symbol.asyncDispose]() {
      for (const opened of [storage, hub, scratch]) await opened[Symbol.asyncDispose]();
    },
  };
}

test('list in a storage: facts by parts of its files, then the files', async () => {
  await using place = await openPlace();
  const list = await storeBase(place.storage.blobs);
  const found = await place.find(`sha256:${list}`);
  expect(found).toMatchObject({
    base: `sha256:${list}`,
    list,
    files: listBase().files.sort((a, b) => (a.name < b.name ? -1 : 1)),
  });
  expect(await readBaseFacts(found)).toMatchObject({ parameters: TINY_PARAMETERS, baseBytes: found.bytes });
  for (const { name } of found.files) {
    const content = tinyBase()[name] as Buffer;
    expect(await found.download(name, place.blobs)).toEqual({ sha256: sha256(content), bytes: content.length });
  }
});

test('repository of a hub: only what training needs, pinned to its commit', async () => {
  await using place = await openPlace();
  place.hub.commit(repo, tinyBase({ 'pytorch_model.bin': 'x', 'modeling_x.py': 'x', NOTICE: '' }));
  const found = await place.find(`hf:${repo}@${place.commit}`);
  const newest = await place.find(`hf:${repo}`);
  expect(newest.base).toMatch(/^hf:tiny\/base@[0-9a-f]{40}$/);
  expect(newest.commit).not.toBe(place.commit);
  expect(newest.files).toEqual(found.files);
  expect(await readBaseFacts(newest)).toMatchObject({ parameters: TINY_PARAMETERS, licence: 'apache-2.0' });
});

test.each([
  ['base/bad-reference', 'gpt2'],
  ['base/bad-reference', 'hf:gpt2'],
  ['base/bad-reference', `sha256:${'x'.repeat(64)}`],
  ['base/missing', 'hf:tiny/other'],
  ['base/missing', `sha256:${'ab'.repeat(32)}`],
])('%s: %s', async (code, reference) => {
  await using place = await openPlace();
  await expect(place.find(reference)).rejects.toMatchObject({ code });
});

test.each([
  ['base/pickled', { 'model.safetensors': undefined, 'pytorch_model.bin': 'x' }],
  ['base/adapter', { 'config.json': undefined, 'adapter_config.json': '{}' }],
  ['base/no-tokenizer', { 'tokenizer.json': undefined }],
])('hub, %s: refused before any file is asked for', async (code, changes) => {
  await using place = await openPlace();
  place.hub.commit(repo, tinyBase(changes));
  await expect(place.find(`hf:${repo}`)).rejects.toMatchObject({ code });
  expect(place.hub.asked.filter((line) => line.includes('/resolve/'))).toEqual([]);
});

test('base above the limit: base/too-large, wherever it lies', async () => {
  await using place = await openPlace(1000);
  const list = await storeBase(place.storage.blobs);
  for (const reference of [`sha256:${list}`, `hf:${repo}`])
    await expect(place.find(reference)).rejects.toMatchObject({ code: 'base/too-large' });
});

test('list that says less than a file has: base/bad-list', async () => {
  await using place = await openPlace();
  await storeBase(place.storage.blobs);
  const { files, ...rest } = JSON.parse(listBase().text) as { files: { name: string; bytes: number }[] };
  for (const by of [-1, 1]) {
    const changed = files.map((file) => (file.name === 'config.json' ? { ...file, bytes: file.bytes + by } : file));
    const text = canonicalJson({ ...rest, files: changed });
    const { sha256: list } = await place.storage.blobs.addBytes(Buffer.from(text));
    const found = await place.find(`sha256:${list}`);
    await expect(found.download('config.json', place.blobs)).rejects.toMatchObject({ code: 'base/bad-list' });
    await place.blobs.remove(sha256(tinyBase()['config.json'] as Buffer) as Sha256);
  }
});

describe('list of a hub by somebody else', () => {
  const base = (changes = {}) => listBase(tinyBase(changes)).files;
  const open = (place: Awaited<ReturnType<typeof openPlace>>, files: ReturnType<typeof base>) =>
    openPinnedBase({ reference: `hf:${repo}`, commit: place.commit }, files, {
      hub: place.options.hub,
      into: place.blobs,
    });

  test('files of the commit: fetched by their hashes, also once the branch has moved', async () => {
    await using place = await openPlace();
    place.hub.commit(repo, tinyBase({ 'README.md': 'moved' }));
    const fetch = await open(place, base());
    for (const { sha256: name, bytes } of base()) {
      await fetch(name);
      expect(await place.blobs.stat(name)).toEqual({ bytes });
    }
  });

  test.each([
    ['other weights', { 'model.safetensors': Buffer.alloc(tinyBase()['model.safetensors']?.length ?? 0) }],
    ['one file less', { 'tokenizer_config.json': undefined }],
    ['one file more', { 'generation_config.json': '{}' }],
  ])('%s: base/other-files', async (_what, changes) => {
    await using place = await openPlace();
    await expect(open(place, base(changes))).rejects.toMatchObject({ code: 'base/other-files' });
  });

  test('another small file, whose hash the hub does not list: base/other-files', async () => {
    await using place = await openPlace();
    const original = tinyBase()['config.json'] as Buffer;
    const files = base({ 'config.json': Buffer.from(original.toString().replace('32', '33')) });
    await expect(open(place, files)).rejects.toMatchObject({ code: 'base/other-files' });
  });
});
