/** Bases as a master takes them: from storages for those who have them, from a hub for everybody. */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchJobBase, type JobBaseDeps, openFetchedBase } from '../../../src/app/job-base';
import type { JobId, Sha256 } from '../../../src/domain/ids';
import { sha256 } from '../../../src/lib/hash';
import { type ChainAccounts, openChainAccounts } from '../../support/chain-accounts';
import { anvilRoles, type ChainStorage, openChainStorage, type ReaderName } from '../../support/chain-storage';
import { FEE, FUEL } from '../../support/escrow';
import { type HubServer, openHubServer } from '../../support/hub-server';
import { PlayedDisk } from '../../support/played-disk';
import { type BaseFiles, listBase, TINY_PARAMETERS, tensorFile, tinyBase, tinyTensors } from '../../support/tiny-base';

jest.setTimeout(60_000);

const repo = 'tiny/base';
let accounts: ChainAccounts;
beforeAll(async () => {
  accounts = await openChainAccounts();
});
afterAll(() => accounts[Symbol.asyncDispose]());

/** Requests a job that starts from this base, and returns it as the queue has it. */
async function request(role: ReaderName, base: string) {
  const params = JSON.stringify({ tune: 'lora', base });
  const deadlineMs = (await accounts.chain.nowMs()) + 3_600_000;
  const emeth = await accounts.emethOf(anvilRoles[role]);
  const { jobId } = await emeth.request({
    dataset: 'https://a.example',
    params,
    feeWei: FEE,
    fuelLimit: FUEL,
    deadlineMs,
  });
  return { id: jobId as JobId, requester: emeth.address, base };
}

/** Uploads a base as a role, and returns its list. */
async function put(storage: ChainStorage, role: ReaderName, files: BaseFiles = tinyBase()): Promise<Sha256> {
  for (const content of Object.values(files)) await storage.upload(role, content);
  return storage.upload(role, Buffer.from(listBase(files).text));
}

interface Place {
  storage: ChainStorage;
  own?: ChainStorage;
  hub?: HubServer;
  changes?: Partial<JobBaseDeps>;
}

/** Takes a base as the master of `node`, from the storage, with the blobs and tables of `own`. */
async function take(job: Awaited<ReturnType<typeof request>>, { storage, own = storage, hub, changes }: Place) {
  const deps: JobBaseDeps = {
    options: {
      storages: [storage.url],
      allowPrivate: false,
      maxBytes: 1 << 20,
      hub: { endpoint: hub?.url ?? 'http://127.0.0.1:1', attempts: 1 },
    },
    blobs: own.blobs,
    holders: own.store.blobHolders,
    wallet: await accounts.walletOf('node'),
    root: own.file('bases'),
    disk: new PlayedDisk(),
    makeRoom: async () => undefined,
    ...changes,
  };
  const taken = fetchJobBase(job, job.base, deps, new AbortController().signal);
  return taken.then(
    (base) => ({ ...base, root: deps.root, deps }),
    (error: { code: string }) => error.code,
  );
}

const names = Object.keys(tinyBase()).sort();

test('own storage: a base is used for who uploaded it, not for who names it', async () => {
  await using storage = await openChainStorage(accounts, 'own');
  const list = await put(storage, 'requester');
  const theirs = await take(await request('requester', `sha256:${list}`), { storage });
  expect(theirs).toMatchObject({ list, facts: { parameters: TINY_PARAMETERS, layers: 2 } });
  expect((await readdir(join(storage.file('bases'), list))).sort()).toEqual(names);
  const thief = await request('stranger', `sha256:${list}`);
  expect(await take(thief, { storage })).toBe('base/missing');
  // Nor once it has the list, which says little, but not what the list names.
  await storage.upload('stranger', Buffer.from(listBase().text));
  expect(await take(thief, { storage })).toBe('base/missing');
  await put(storage, 'stranger');
  expect(await take(thief, { storage })).toMatchObject({ list });
  expect(await readdir(storage.file('apart'))).toEqual([]);
});

test("another's storage: asked for each requester, also for a base that is here", async () => {
  await using own = await openChainStorage(accounts, 'own');
  await using storage = await openChainStorage(accounts, 'apart');
  const list = await put(storage, 'requester');
  const theirs = await request('requester', `sha256:${list}`);
  expect(await take(theirs, { storage, own })).toMatchObject({ list });
  // A verifier reads it here as well.
  for (const content of Object.values(tinyBase()))
    expect(await own.read('verifier', theirs.id, sha256(content))).toBe(200);
  const thief = await request('stranger', `sha256:${list}`);
  expect(await take(thief, { storage, own })).toBe('base/missing');
  expect(await own.read('stranger', thief.id, sha256(tinyBase()['config.json'] as Buffer))).toBe(404);
  await put(storage, 'stranger');
  expect(await take(thief, { storage, own })).toMatchObject({ list });
});

test('hub: one download for all, pinned to its commit, however the branch moves', async () => {
  await using own = await openChainStorage(accounts, 'own');
  await using hub = await openHubServer();
  const commit = hub.commit(repo, tinyBase());
  const first = await take(await request('requester', `hf:${repo}`), { storage: own, hub });
  expect(first).toMatchObject({ commit, list: listBase().list });
  const weights = () => hub.asked.filter((line) => line.endsWith('model.safetensors')).length;
  expect(weights()).toBe(1);
  const moved = tinyBase({ 'README.md': 'moved' });
  const next = hub.commit(repo, moved);
  expect(await take(await request('stranger', `hf:${repo}`), { storage: own, hub })).toMatchObject({
    commit: next,
    list: listBase(moved).list,
  });
  expect(await take(await request('stranger', `hf:${repo}@${commit}`), { storage: own, hub })).toMatchObject({
    commit,
  });
  expect(weights()).toBe(1);
});

test('hub that only lists what is private here: its bytes have to come from there', async () => {
  await using own = await openChainStorage(accounts, 'own');
  await using hub = await openHubServer();
  // Somebody's weights, which the thief knows the hash of, and a hub can be made to list.
  const weights = tensorFile({ ...tinyTensors, 'extra.weight': ['F32', 40_000] });
  const files = tinyBase({ 'model.safetensors': weights });
  await put(own, 'requester', files);
  hub.commit(repo, files);
  // The same head with other numbers behind it.
  hub.swap(repo, 'model.safetensors', Buffer.concat([weights.subarray(0, -1), Buffer.from([1])]));
  const thief = await request('stranger', `hf:${repo}`);
  expect(await take(thief, { storage: own, hub })).toBe('base/other-bytes');
  expect(existsSync(own.file('bases'))).toBe(false);
});

test('base that nobody could train: refused before its weights are fetched', async () => {
  await using own = await openChainStorage(accounts, 'own');
  await using hub = await openHubServer();
  hub.commit(repo, tinyBase({ 'config.json': JSON.stringify({ model_type: 't5', vocab_size: 64 }) }));
  expect(await take(await request('requester', `hf:${repo}`), { storage: own, hub })).toBe('base/architecture');
  expect(hub.asked.some((line) => line.includes('model.safetensors'))).toBe(false);
});

test('disk without room: asked for room first, then refused, nothing fetched', async () => {
  await using own = await openChainStorage(accounts, 'own');
  await using hub = await openHubServer();
  hub.commit(repo, tinyBase());
  const disk = new PlayedDisk();
  disk.room = 1000;
  const asked: number[] = [];
  const makeRoom = async (bytes: number) => void asked.push(bytes);
  const job = await request('requester', `hf:${repo}`);
  expect(await take(job, { storage: own, hub, changes: { disk, makeRoom } })).toBe('disk/low');
  expect(asked).toEqual([Object.values(tinyBase()).reduce((sum, { length }) => sum + length, 0)]);
  expect(await own.blobs.stat(listBase().list)).toBeUndefined();
});

test('directory that is gone: made again of what is here, or base/missing', async () => {
  await using own = await openChainStorage(accounts, 'own');
  await using hub = await openHubServer();
  hub.commit(repo, tinyBase());
  const taken = await take(await request('requester', `hf:${repo}`), { storage: own, hub });
  if (typeof taken === 'string') throw new Error(taken);
  await rm(join(taken.root, taken.list), { recursive: true });
  expect((await openFetchedBase(taken.list, taken.deps)).files.map(({ name }) => name)).toEqual(names);
  await rm(join(taken.root, taken.list), { recursive: true });
  await own.blobs.remove(sha256(tinyBase()['config.json'] as Buffer) as Sha256);
  await expect(openFetchedBase(taken.list, taken.deps)).rejects.toMatchObject({ code: 'base/missing' });
});
