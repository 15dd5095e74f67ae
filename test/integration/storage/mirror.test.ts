/** A storage that copies what open jobs need: what it takes, for whom, and what it leaves. */
import { printFileList } from '../../../src/blobs/base-dir';
import { BlobStore } from '../../../src/blobs/blob-store';
import { type BlobSource, openSource } from '../../../src/blobs/located-blobs';
import { Address, JobId, type Sha256 } from '../../../src/domain/ids';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import { silentLogger } from '../../../src/lib/logger';
import { Manifest } from '../../../src/protocol/manifest';
import { Mirror, type WantedJob } from '../../../src/storage/mirror';
import { openStore } from '../../../src/store/open';
import { honestManifest, testModel } from '../../support/manifest';
import { openScratch } from '../../support/scratch';
import { openStillClock } from '../../support/still-clock';
import { openTestStorage } from '../../support/storage';
import { openTestSpace } from '../../support/storage-space';

const requester = Address.parse(`0x${'11'.repeat(20)}`);
const node = Address.parse(`0x${'22'.repeat(20)}`);
const jobId = JobId.parse(`0x${'0a'.repeat(16)}`);
const data = Buffer.from('Call me Ishmael.');
const signal = new AbortController().signal;
const name = (bytes: Uint8Array) => sha256(bytes) as Sha256;

/** A manifest whose updates have bytes, and all that belongs to it. */
function makeResult() {
  const updates: Buffer[] = [];
  const honest = Manifest.parse(honestManifest());
  const rounds = honest.rounds.map((round) => ({
    ...round,
    leases: round.leases.map((lease) => {
      updates.push(Buffer.from(`update ${updates.length}`));
      return { ...lease, update: sha256(updates.at(-1)!) };
    }),
  }));
  const manifest = Buffer.from(canonicalJson({ ...honestManifest(), rounds }));
  return { manifest, parts: [...updates, ...Object.values(testModel)] };
}

/** A peer, and a mirror of it that wants these jobs. */
async function open(wanted: () => WantedJob[], money: (owner: Address) => bigint = () => 10n ** 19n) {
  const scratch = await openScratch();
  const peer = await openTestStorage();
  const store = await openStore({ kind: 'sqlite', path: scratch.file('index.sqlite') });
  const blobs = new BlobStore(scratch.file('blobs'));
  const time = openStillClock();
  const { clock } = time;
  const { space } = openTestSpace({ blobs, store, clock, account: (owner) => ({ moneyWei: money(owner) }) });
  const asked: string[] = [];
  const all = openSource({ storages: [peer.url], allowPrivate: false });
  const source: BlobSource = {
    async size(sha, stop) {
      asked.push(sha);
      return all.size(sha, stop);
    },
    download: (sha, into, maxBytes, options) => all.download(sha, into, maxBytes, { ...options, pass: peer.pass }),
  };
  const mirror = new Mirror(
    { maxBytes: 10_000 },
    {
      wanted: async () => wanted(),
      sourceOf: () => source,
      blobs,
      space,
      addHolder: (sha, account) => store.blobHolders.add(sha, account),
      clock,
      logger: silentLogger,
    },
  );
  return {
    peer,
    mirror,
    store,
    time,
    asked,
    pass: () => mirror.pass(signal),
    has: async (bytes: Uint8Array) => (await blobs.stat(name(bytes))) !== undefined,
    async [Symbol.asyncDispose]() {
      for (const opened of [peer, store, scratch]) await opened[Symbol.asyncDispose]();
    },
  };
}

const openJob = (): WantedJob => ({ jobId, data: { sha256: name(data), owner: requester } });

test('open job, then its result: all of it is copied, for requester and node', async () => {
  const { manifest, parts } = makeResult();
  let job = openJob();
  await using rig = await open(() => [job]);
  for (const bytes of [data, manifest, ...parts]) await rig.peer.blobs.addBytes(bytes);
  await rig.pass();
  expect([await rig.has(data), await rig.has(manifest)]).toEqual([true, false]);

  job = { ...job, result: { sha256: name(manifest), owner: node } };
  await rig.pass();
  expect(await Promise.all([data, manifest, ...parts].map(rig.has))).not.toContain(false);
  expect(rig.mirror.totals).toMatchObject({ blobs: 2 + parts.length, failures: 0 });
  expect(await rig.store.blobHolders.has(name(data), requester)).toBe(true);
  expect(await rig.store.blobHolders.has(name(manifest), node)).toBe(true);
  expect(await rig.store.blobHolders.has(name(manifest), requester)).toBe(false);
  expect(await rig.store.storedBlobs.sumOf('test', requester)).toMatchObject({ blobs: 1, bytes: data.length });

  const asked = rig.asked.length;
  await rig.pass();
  expect(rig.asked).toHaveLength(asked);
});

test('job with a base: its list, then what that names, for the requester', async () => {
  const files = ['a config', 'some weights', 'a tokenizer'].map((text) => Buffer.from(text));
  const text = printFileList(
    files.map((bytes, i) => ({ name: `${i}.json`, sha256: name(bytes), bytes: bytes.length })),
  );
  const list = name(Buffer.from(text));
  let job: WantedJob = { ...openJob(), base: { sha256: list, owner: requester } };
  await using rig = await open(() => [job]);
  for (const bytes of [data, ...files.slice(1)]) await rig.peer.blobs.addBytes(bytes);
  await rig.pass();
  expect(await rig.has(files[1]!)).toBe(false);
  await rig.peer.blobs.addBytes(Buffer.from(text));
  rig.time.pass(10_000);
  await rig.pass();
  // As long as one is lacking, the job is looked at again.
  expect(await Promise.all(files.map(rig.has))).toEqual(files.map((_, i) => i > 0));
  await rig.peer.blobs.addBytes(files[0]!);
  rig.time.pass(10_000);
  await rig.pass();
  expect(await rig.has(files[0]!)).toBe(true);
  expect(await rig.store.blobHolders.has(list, requester)).toBe(true);

  const size = { parameters: 1000, trainable: 100, baseBytes: 5000, layers: 1, width: 16, hidden: 64 };
  const other = Buffer.from(printFileList([{ name: 'config.json', sha256: name(data), bytes: data.length }]));
  const base = { reference: 'hf:org/name', list: name(other), commit: '2a'.repeat(20), size };
  const manifest = Buffer.from(canonicalJson({ ...JSON.parse(makeResult().manifest.toString()), base }));
  for (const bytes of [other, manifest]) await rig.peer.blobs.addBytes(bytes);
  job = { ...job, result: { sha256: name(manifest), owner: node } };
  await rig.pass();
  expect([await rig.has(manifest), await rig.has(other)]).toEqual([true, true]);
});

test('blob that the peer gets later: looked for again after a pause, then copied', async () => {
  await using rig = await open(() => [openJob()]);
  await rig.pass();
  await rig.peer.blobs.addBytes(data);
  await rig.pass();
  expect(await rig.has(data)).toBe(false);
  expect(rig.asked).toHaveLength(1);
  rig.time.pass(10_000);
  await rig.pass();
  expect(await rig.has(data)).toBe(true);
});

test('requester whose money covers nothing: its data are not copied', async () => {
  await using rig = await open(
    () => [openJob()],
    () => 0n,
  );
  await rig.peer.blobs.addBytes(data);
  await rig.pass();
  expect(await rig.has(data)).toBe(false);
  expect(await rig.store.storedBlobs.unfinished('test')).toEqual([]);
});

test('blob above the limit of an upload: not copied', async () => {
  const large = Buffer.alloc(10_001);
  await using rig = await open(() => [{ jobId, data: { sha256: name(large), owner: requester } }]);
  await rig.peer.blobs.addBytes(large);
  await rig.pass();
  expect(await rig.has(large)).toBe(false);
  expect(rig.mirror.totals.failures).toBe(1);
});

test('result that is no manifest: copied as it is, and nothing else', async () => {
  const result = Buffer.from('{"no":"manifest"}');
  await using rig = await open(() => [{ jobId, result: { sha256: name(result), owner: node } }]);
  await rig.peer.blobs.addBytes(result);
  await rig.pass();
  expect(rig.mirror.totals).toMatchObject({ blobs: 1, failures: 0 });
});
