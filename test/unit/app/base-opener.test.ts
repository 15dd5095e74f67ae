/** Bases of submitted jobs: from the hub that a manifest names, and only if its list is the hub's. */
import { readdir } from 'node:fs/promises';
import { openNamedBase } from '../../../src/app/base-opener';
import { BlobStore } from '../../../src/blobs/blob-store';
import { openHubServer } from '../../support/hub-server';
import { openScratch } from '../../support/scratch';
import { openTestBases } from '../../support/test-bases';
import { listBase, storeBase, tinyBase } from '../../support/tiny-base';

const repo = 'tiny/base';

/** Opens the base of a job whose node has published this list; its record says so many bytes less. */
async function open(listed: ReturnType<typeof tinyBase>, { lessBytes = 0, isKept = false } = {}) {
  await using scratch = await openScratch();
  await using hub = await openHubServer();
  const commit = hub.commit(repo, tinyBase());
  hub.commit(repo, tinyBase({ 'README.md': 'moved' }));
  const far = new BlobStore(scratch.file('far'));
  const blobs = new BlobStore(scratch.file('blobs'));
  const { list, text, files } = listBase(listed);
  await far.addBytes(Buffer.from(text));
  const baseBytes = files.reduce((sum, { bytes }) => sum + bytes, -lessBytes);
  const size = { parameters: 1, trainable: 1, baseBytes, layers: 1, width: 1, hidden: 1 };
  const bases = openTestBases(scratch.path, blobs);
  if (isKept) {
    await storeBase(far, listed);
    (await bases.open({ list, bytes: baseBytes }, (name) => blobs.add(far.path(name), { move: false })))[
      Symbol.dispose
    ]();
  }
  using base = await openNamedBase(
    { reference: `hf:${repo}`, commit, list, size },
    {
      ...{ bases, blobs },
      storage: { download: async (name) => blobs.add(far.path(name), { move: false }) },
      hub: { endpoint: hub.url, attempts: 1 },
      signal: new AbortController().signal,
    },
  );
  return (await readdir(base.path)).sort();
}

test("list that is the hub's at that commit: its files, from the hub", async () => {
  expect(await open(tinyBase())).toEqual(Object.keys(tinyBase()).sort());
});

test.each([
  ['base/other-files', 'weights of its own', { 'model.safetensors': Buffer.alloc(8000) }],
  ['base/other-files', 'a tokenizer of its own', { 'tokenizer.json': '{}' }],
  ['base/other-files', 'a file left out', { 'tokenizer_config.json': undefined }],
])('%s: node whose list has %s', async (code, _what, changes) => {
  await expect(open(tinyBase(changes))).rejects.toMatchObject({ code });
});

test('list with a small file of its own, kept from another job: found', async () => {
  const listed = tinyBase({ 'tokenizer_config.json': JSON.stringify({ chat_template: '{{ messagez }}' }) });
  expect(listed['tokenizer_config.json']).toHaveLength(tinyBase()['tokenizer_config.json']!.length);
  await expect(open(listed, { isKept: true })).rejects.toMatchObject({ code: 'base/other-files' });
});

test.each([
  ['less than its list', 1],
  ['more, as no cache holds', -(2 ** 50)],
])('base/other-files: node whose record says %s', async (_what, lessBytes) => {
  await expect(open(tinyBase(), { lessBytes })).rejects.toMatchObject({ code: 'base/other-files' });
});
