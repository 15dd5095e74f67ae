/** What goes when, and what never goes: parts, unused data, results, and blobs that jobs need. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { printFileList } from '../../../src/blobs/base-dir';
import { BlobStore } from '../../../src/blobs/blob-store';
import { Address, JobId, Sha256 } from '../../../src/domain/ids';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import type { Store } from '../../../src/store/open';
import { describeEachDatabase } from '../../support/each-database';
import { openScratch } from '../../support/scratch';
import { openStillClock } from '../../support/still-clock';
import { openTestSpace } from '../../support/storage-space';
import { recordJob } from '../../support/stored-jobs';

jest.setTimeout(120_000);

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const requester = Address.parse(`0x${'01'.repeat(20)}`);
const node = Address.parse(`0x${'02'.repeat(20)}`);

describeEachDatabase('retention of a storage', (database) => {
  let store: Store;
  let scratch: Awaited<ReturnType<typeof openScratch>>;
  let blobs: BlobStore;
  let time: ReturnType<typeof openStillClock>;
  let opened: ReturnType<typeof openTestSpace>;
  beforeEach(async () => {
    scratch = await openScratch();
    blobs = new BlobStore(scratch.file('blobs'));
    time = openStillClock();
    store = await database.open(time.clock);
    const account = (owner: Address) => (owner === node ? { jobs: 1 } : {});
    opened = openTestSpace({ blobs, store, clock: time.clock, account });
  });
  afterEach(() => scratch[Symbol.asyncDispose]());

  const sweep = () => opened.retention.sweep();
  const isThere = async (name: Sha256) => (await blobs.stat(name)) !== undefined;

  /** Uploads a text; with `bytes`, only so many of them. */
  async function upload(text: string, owner = requester, bytes = text.length): Promise<Sha256> {
    const blob = { sha256: Sha256.parse(sha256(text)), owner, bytes: text.length };
    await opened.space.begin(blob);
    const part = await blobs.openPart(blob.sha256);
    await part.append(Buffer.from(text.slice(0, bytes)));
    await opened.space.noteWritten(blob.sha256, bytes);
    if (bytes === text.length) {
      await part.finish();
      await opened.space.noteFinished(blob);
    }
    await part.close();
    return blob.sha256;
  }

  test('unfinished upload: gone six hours after its last byte', async () => {
    const name = await upload('half of it', requester, 4);
    time.pass(5 * HOUR_MS);
    await opened.space.noteWritten(name, 4);
    time.pass(6 * HOUR_MS - 1);
    expect(await sweep()).toBe(0);
    expect(await blobs.partBytes(name)).toBe(4);
    time.pass(1);
    expect(await sweep()).toBe(1);
    expect(await blobs.partBytes(name)).toBe(0);
    expect(await store.storedBlobs.find('test', name)).toBeUndefined();
  });

  test('data that no job uses: gone after seven days', async () => {
    const name = await upload('unused');
    time.pass(7 * DAY_MS - 1);
    await sweep();
    expect(await isThere(name)).toBe(true);
    time.pass(1);
    await sweep();
    expect(await isThere(name)).toBe(false);
  });

  test('data of an open job: kept however long, then for 90 days', async () => {
    const name = await upload('used');
    const dataset = `sha256:${name}@https://storage.example/api/v1`;
    await recordJob(store, 1, { type: 'JobRequested', requester, dataset }, { type: 'JobProcessing', node });
    time.pass(200 * DAY_MS);
    expect(await sweep()).toBe(0);
    await recordJob(store, 1, { type: 'JobSubmitted', node, manifest: name }, { type: 'JobVerified' });
    time.pass(90 * DAY_MS - 1);
    expect(await sweep()).toBe(0);
    time.pass(1);
    expect(await sweep()).toBe(1);
    expect(await isThere(name)).toBe(false);
  });

  test('base of an open job: list and files stay, then go in their time', async () => {
    const weights = await upload('the weights');
    const list = await upload(printFileList([{ name: 'model.safetensors', sha256: weights, bytes: 11 }]));
    const params = JSON.stringify({ tune: 'lora', base: `sha256:${list}@https://storage.example/api/v1` });
    await recordJob(store, 1, { type: 'JobRequested', requester, dataset: 'x', params });
    time.pass(200 * DAY_MS);
    expect(await sweep()).toBe(0);
    await recordJob(store, 1, { type: 'JobCanceled' });
    time.pass(90 * DAY_MS);
    expect(await sweep()).toBe(2);
    expect(await Promise.all([list, weights].map(isThere))).toEqual([false, false]);
  });

  test('base that a master has settled on, or a result names: list and files stay', async () => {
    const jobs = [];
    for (const n of [1, 2]) {
      const weights = await upload(`weights ${n}`, node);
      const list = await upload(printFileList([{ name: 'model.safetensors', sha256: weights, bytes: 9 }]), node);
      jobs.push({ list, weights });
      await recordJob(store, n, { type: 'JobRequested', requester, dataset: 'x' });
    }
    const [planned, named] = jobs as [(typeof jobs)[0], (typeof jobs)[0]];
    const plan = { base: { list: planned.list } };
    await store.jobs.move(JobId.parse(`0x${'1'.padStart(32, '0')}`), 'queued', 'claimed', { plan });
    const manifest = await upload(canonicalJson({ base: { list: named.list } }), node);
    await recordJob(store, 2, { type: 'JobProcessing', node }, { type: 'JobSubmitted', node, manifest });
    time.pass(90 * DAY_MS);
    await sweep();
    const names = jobs.flatMap(({ list, weights }) => [list, weights]);
    expect(await Promise.all(names.map(isThere))).toEqual([true, true, true, true]);
  });

  test('job that was over before anybody looked: its data is kept like that of any other', async () => {
    const name = await upload('of a short job');
    time.pass(60_000);
    const dataset = `sha256:${name}`;
    await recordJob(store, 1, { type: 'JobRequested', requester, dataset }, { type: 'JobProcessing', node });
    await recordJob(store, 1, { type: 'JobSubmitted', node, manifest: name }, { type: 'JobVerified' });
    time.pass(10 * 60_000);
    await sweep();
    time.pass(90 * DAY_MS - 1);
    await sweep();
    expect(await isThere(name)).toBe(true);
    time.pass(1);
    await sweep();
    expect(await isThere(name)).toBe(false);
  });

  test('unsettled result: its manifest and all it names stay', async () => {
    const dataset = `sha256:${'00'.repeat(32)}`;
    await recordJob(store, 1, { type: 'JobRequested', requester, dataset }, { type: 'JobProcessing', node });
    const update = await upload('an update', node);
    const other = await upload('of a result that was never submitted', node);
    const manifest = await upload(JSON.stringify({ rounds: [{ leases: [{ update }] }] }), node);
    await recordJob(store, 1, { type: 'JobSubmitted', node, manifest });
    time.pass(90 * DAY_MS);
    await sweep();
    expect(await Promise.all([update, manifest, other].map(isThere))).toEqual([true, true, false]);
    await recordJob(store, 1, { type: 'JobRejected' });
    time.pass(90 * DAY_MS);
    await sweep();
    expect(await Promise.all([update, manifest].map(isThere))).toEqual([false, false]);
  });

  test('blobs of this master’s own rounds: never swept, whoever uploaded them', async () => {
    const name = await upload('the first weights');
    const jobId = await recordJob(store, 1, { type: 'JobRequested', requester, dataset: 'x' }, { type: 'JobCanceled' });
    await store.rounds.open(jobId, 0, name);
    time.pass(1000 * DAY_MS);
    expect(await sweep()).toBe(0);
    expect(await isThere(name)).toBe(true);
  });

  test('files without a row: found at the start, and gone in their time', async () => {
    const own = (await blobs.addBytes(Buffer.from('own weights'))).sha256;
    await store.rounds.open(await recordJob(store, 1, { type: 'JobRequested', requester, dataset: 'x' }), 0, own);
    const found = (await blobs.addBytes(Buffer.from('from before'))).sha256;
    const part = Sha256.parse(sha256('part'));
    await mkdir(dirname(blobs.path(part)), { recursive: true });
    await writeFile(`${blobs.path(part)}.part`, 'pa');
    await writeFile(`${blobs.dir}/notes.txt`, 'of the operator');
    await opened.retention.reconcile();
    expect(await store.storedBlobs.find('test', own)).toBeUndefined();
    expect(await store.storedBlobs.find('test', found)).toMatchObject({ purpose: 'found', bytes: 11 });
    expect(await store.storedBlobs.find('test', part)).toMatchObject({ purpose: 'found', writtenBytes: 2 });
    time.pass(7 * DAY_MS);
    expect(await sweep()).toBe(2);
    expect([await isThere(own), await isThere(found), await blobs.partBytes(part)]).toEqual([true, false, 0]);
  });

  test('rows without a blob: forgotten at the start; one just admitted is not', async () => {
    const [gone, lost] = [await upload('gone'), await upload('lost part', requester, 2)];
    const [kept, grown] = [await upload('kept'), await upload('grown', requester, 2)];
    for (const name of [gone, lost]) await blobs.remove(name);
    const begun = { sha256: Sha256.parse(sha256('begun')), owner: requester, bytes: 5 };
    await opened.space.begin(begun);
    // Killed between the last byte and its row.
    const part = await blobs.openPart(grown);
    await part.append(Buffer.from('own'));
    await part.finish();
    await opened.retention.reconcile();
    const rows = await Promise.all(
      [gone, lost, kept, begun.sha256].map((name) => store.storedBlobs.find('test', name)),
    );
    expect(rows.map((row) => row !== undefined)).toEqual([false, false, true, true]);
    expect((await store.storedBlobs.find('test', grown))?.finishedAtMs).toBeDefined();
  });

  test('run: reconciles, sweeps, and goes on after trouble', async () => {
    const stop = new AbortController();
    const found = (await blobs.addBytes(Buffer.from('from before'))).sha256;
    let sweeps = 0;
    const clock = openStillClock(async () => {
      sweeps += 1;
      if (sweeps === 3) stop.abort();
    }).clock;
    const needs = {
      openNames: async () => {
        if (sweeps === 0) throw new Error('the database is away');
        return { names: [], lists: [], manifests: [] };
      },
      ownNames: async () => new Set<Sha256>(),
    };
    const { retention } = openTestSpace({
      blobs,
      store: { storedBlobs: store.storedBlobs, storageNeeds: needs as never },
      clock,
    });
    await retention.run(stop.signal);
    expect(await store.storedBlobs.find('test', found)).toBeDefined();
  });
});
