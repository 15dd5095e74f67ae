/** Who may store how much: by money, by jobs, by count; on both databases, and after a restart. */
import { BlobStore } from '../../../src/blobs/blob-store';
import { Address, type Sha256 } from '../../../src/domain/ids';
import { sha256 } from '../../../src/lib/hash';
import type { Store } from '../../../src/store/open';
import { describeEachDatabase } from '../../support/each-database';
import { openScratch } from '../../support/scratch';
import { openStillClock } from '../../support/still-clock';
import { EMT, MIB, openTestSpace } from '../../support/storage-space';
import { recordJob } from '../../support/stored-jobs';

jest.setTimeout(120_000);

const GIB = 1024 * MIB;
const account = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const name = (text: string) => sha256(text) as Sha256;
const upload = (n: number, owner: Address, bytes: number) => ({ sha256: name(`blob ${n}`), owner, bytes });
const outcome = (work: Promise<void>) =>
  work.then(
    () => 'taken',
    (error) => error.detail.code,
  );

describeEachDatabase('space of a storage', (database) => {
  let store: Store;
  let scratch: Awaited<ReturnType<typeof openScratch>>;
  let blobs: BlobStore;
  let time: ReturnType<typeof openStillClock>;
  const open = (options: Partial<Parameters<typeof openTestSpace>[0]> = {}) =>
    openTestSpace({ blobs, store, clock: time.clock, ...options }).space;
  beforeEach(async () => {
    scratch = await openScratch();
    blobs = new BlobStore(scratch.file('blobs'));
    store = await database.open();
    time = openStillClock();
  });
  afterEach(() => scratch[Symbol.asyncDispose]());

  test('1 wei, 200 uploads of 1 GiB: all refused, with figures and remedy', async () => {
    const space = open({ account: () => ({ moneyWei: 1n }) });
    const all = await Promise.all(
      Array.from({ length: 200 }, (_, n) => outcome(space.begin(upload(n, account(1), GIB)))),
    );
    expect(new Set(all)).toEqual(new Set(['storage/over-quota']));
    expect(await store.storedBlobs.unfinished('test')).toEqual([]);
    await expect(space.begin(upload(0, account(1), GIB))).rejects.toThrow(
      /may store 0 B here \(268\.4 MB for each of its 0\.000000000000000001 EMT .* asks for 1\.1 GB; hold more EMT/,
    );
  });

  test('200 accounts with 1 wei each: none gets any room', async () => {
    const space = open({ account: () => ({ moneyWei: 1n }) });
    for (let n = 0; n < 200; n++) expect(await outcome(space.begin(upload(n, account(n), 1)))).not.toBe('taken');
  });

  test('10 EMT, 200 uploads at once: as many as they pay for', async () => {
    const space = open();
    const all = await Promise.all(
      Array.from({ length: 200 }, (_, n) => outcome(space.begin(upload(n, account(1), GIB)))),
    );
    expect(all.filter((one) => one === 'taken')).toHaveLength(2);
    expect(await store.storedBlobs.sumOf('test', account(1))).toEqual({ blobs: 2, bytes: 2 * GIB, unfinished: 2 });
  });

  test('small uploads of one account: only a few unfinished at once', async () => {
    const space = open();
    const begin = (n: number) => outcome(space.begin(upload(n, account(1), 10)));
    for (let n = 0; n < 4; n++) expect(await begin(n)).toBe('taken');
    expect(await begin(4)).toBe('storage/too-many-uploads');
    await space.noteFinished(upload(0, account(1), 10));
    expect(await begin(4)).toBe('taken');
  });

  test('many accounts with money: unfinished uploads are bounded in all', async () => {
    const space = open({ rules: { uploads: 3 } });
    const begin = (n: number) => outcome(space.begin(upload(n, account(n), 10)));
    for (let n = 0; n < 3; n++) expect(await begin(n)).toBe('taken');
    expect(await begin(3)).toBe('storage/too-many-uploads');
    // Whoever goes on sending keeps the place; whoever does not loses it after a minute.
    time.pass(59_000);
    await space.noteWritten(upload(0, account(0), 10).sha256, 5);
    expect(await begin(3)).toBe('storage/too-many-uploads');
    time.pass(1000);
    expect(await begin(3)).toBe('taken');
    const left = await store.storedBlobs.unfinished('test');
    expect(left.map(({ owner }) => owner)).toContain(account(0));
    expect(left).toHaveLength(3);
  });

  test('account without money: its tries cost nobody a place or what was sent', async () => {
    const space = open({ rules: { uploads: 1 }, account: (owner) => (owner === account(9) ? { moneyWei: 0n } : {}) });
    await space.begin(upload(1, account(1), 10));
    time.pass(3_600_000);
    for (const n of [1, 2]) expect(await outcome(space.begin(upload(n, account(9), 10)))).toBe('storage/not-allowed');
    expect(await store.storedBlobs.unfinished('test')).toHaveLength(1);
  });

  test('chain that does not answer about one account: uploads of others begin', async () => {
    const answers = openTestSpace({
      ...{ blobs, store, clock: time.clock },
      account: (owner) => (owner === account(1) ? new Promise(() => undefined) : {}),
    });
    void answers.space.begin(upload(1, account(1), 10));
    expect(await outcome(answers.space.begin(upload(2, account(2), 10)))).toBe('taken');
  });

  test('upload begun by another account: waits, then begins anew', async () => {
    const space = open();
    await space.begin(upload(1, account(1), 10));
    const part = await blobs.openPart(name('blob 1'));
    await part.append(Buffer.from('abc'));
    await part.close();
    await space.noteWritten(name('blob 1'), 3);
    expect(await outcome(space.begin(upload(1, account(2), 10)))).toBe('storage/another-uploads');
    expect(await outcome(space.begin(upload(1, account(1), 10)))).toBe('taken');
    time.pass(60_000);
    expect(await outcome(space.begin(upload(1, account(2), 10)))).toBe('taken');
    expect(await blobs.partBytes(name('blob 1'))).toBe(0);
    expect(await store.storedBlobs.find('test', name('blob 1'))).toMatchObject({ owner: account(2), writtenBytes: 0 });
  });

  test('open jobs: fees give room to requesters, jobs taken to nodes', async () => {
    const dataset = `sha256:${name('data')}`;
    await recordJob(store, 1, { type: 'JobRequested', requester: account(1), dataset, feeWei: 7n });
    await recordJob(store, 1, { type: 'JobProcessing', node: account(2) });
    await recordJob(store, 2, { type: 'JobRequested', requester: account(1), dataset, feeWei: 5n });
    await recordJob(store, 3, { type: 'JobRequested', requester: account(1), dataset }, { type: 'JobCanceled' });
    expect(await store.storageNeeds.openJobsOf(account(1))).toEqual({ feesWei: 12n, taken: 0 });
    expect(await store.storageNeeds.openJobsOf(account(2))).toEqual({ feesWei: 0n, taken: 1 });
    const manifest = name('manifest');
    await recordJob(store, 1, { type: 'JobSubmitted', node: account(2), manifest }, { type: 'JobVerified' });
    expect(await store.storageNeeds.openJobsOf(account(2))).toEqual({ feesWei: 0n, taken: 0 });
  });

  test('node and verifier without money: room for results and evidence', async () => {
    const space = open({
      account: (owner) => ({ moneyWei: 0n, ...(owner === account(2) ? { jobs: 1 } : { isVerifier: true }) }),
    });
    await space.begin(upload(1, account(2), 19e9));
    await space.begin(upload(2, account(3), 19e9));
    expect(await outcome(space.begin(upload(3, account(2), 2e9)))).toBe('storage/over-quota');
    const purposes = await store.storedBlobs.sumsByPurpose('test');
    expect(purposes.map(({ purpose }) => purpose)).toEqual(['evidence', 'result']);
  });

  test('data of ended jobs: make room for the next data of their account', async () => {
    const space = open({ account: () => ({ moneyWei: 4n * EMT }) });
    const old = upload(1, account(1), 900 * MIB);
    await space.begin(old);
    await space.noteFinished(old);
    expect(await outcome(space.begin(upload(2, account(1), 900 * MIB)))).toBe('storage/over-quota');
    const dataset = `sha256:${old.sha256}`;
    await recordJob(store, 1, { type: 'JobRequested', requester: account(1), dataset });
    time.pass(1000);
    await openTestSpace({ blobs, store, clock: time.clock }).retention.sweep();
    expect(await outcome(space.begin(upload(2, account(1), 900 * MIB)))).toBe('storage/over-quota');
    await recordJob(store, 1, { type: 'JobCanceled' });
    expect(await outcome(space.begin(upload(2, account(1), 900 * MIB)))).toBe('taken');
    expect(await store.storedBlobs.find('test', old.sha256)).toBeUndefined();
  });

  test('accounts: what each has here and may have, as the operator sees it', async () => {
    const account1 = { moneyWei: EMT };
    const space = open({ account: (owner) => (owner === account(2) ? { isOwn: true } : account1) });
    await space.begin(upload(1, account(1), 10));
    await space.noteOwn(upload(2, account(2), 50));
    expect(await space.sums()).toEqual([{ purpose: 'data', sum: { blobs: 2, bytes: 60, unfinished: 1 } }]);
    expect(await space.accounts()).toEqual([
      { account: account(2), blobs: 1, bytes: 50, unfinished: 0 },
      { account: account(1), blobs: 1, bytes: 10, unfinished: 1, allowedBytes: 256 * MIB },
    ]);
  });

  test('restart: what was stored and begun still counts', async () => {
    const space = open();
    await space.begin(upload(1, account(1), 2 * GIB));
    await store[Symbol.asyncDispose]();
    store = await database.open();
    expect(await outcome(open().begin(upload(2, account(1), GIB)))).toBe('storage/over-quota');
    expect(await outcome(open().begin(upload(1, account(1), 2 * GIB)))).toBe('taken');
    // Another storage in the same database has its own files.
    expect(await outcome(open({ place: 'other' }).begin(upload(2, account(1), GIB)))).toBe('taken');
  });

  test('no room on the disk: 507 with figures, and announced bytes count', async () => {
    const floor = { roomBytes: async () => 100, require: async () => {}, forget: () => {}, minFreeBytes: 1000 };
    const space = open({ floor });
    await space.begin(upload(1, account(1), 60));
    await expect(space.begin(upload(2, account(2), 50))).rejects.toMatchObject({
      detail: { code: 'storage/no-room', status: 507, neededBytes: 50, roomBytes: 40 },
    });
    // Uploads without news make room.
    time.pass(60_000);
    await space.begin(upload(3, account(3), 100));
    expect((await store.storedBlobs.unfinished('test')).map(({ owner }) => owner)).toEqual([account(3)]);
  });

  test('money gone elsewhere, disk full: the uploads it paid for make room', async () => {
    let room = 100;
    const floor = { roomBytes: async () => room, require: async () => {}, forget: () => {}, minFreeBytes: 1000 };
    const money = new Map([[account(1), EMT]]);
    const space = open({ floor, account: (owner) => ({ moneyWei: money.get(owner) ?? 0n }) });
    const first = upload(1, account(1), 100);
    await space.begin(first);
    await space.noteFinished(first);
    room = 0;
    money.set(account(1), 0n).set(account(2), EMT);
    const second = space.begin(upload(2, account(2), 100));
    await expect(second).rejects.toMatchObject({ detail: { code: 'storage/no-room' } });
    expect(await store.storedBlobs.find('test', first.sha256)).toBeUndefined();
    money.set(account(1), EMT);
    room = 100;
    await space.begin(upload(2, account(2), 100));
  });
});
