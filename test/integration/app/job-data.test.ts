/** Data sets as a master takes them: from its disk, its storage or another, for those who have them alone. */
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { fetchJobData } from '../../../src/app/job-data';
import type { BlobStore } from '../../../src/blobs/blob-store';
import type { JobId, Sha256 } from '../../../src/domain/ids';
import { type ChainAccounts, openChainAccounts } from '../../support/chain-accounts';
import { anvilRoles, type ChainStorage, openChainStorage, type ReaderName } from '../../support/chain-storage';
import { FEE, FUEL } from '../../support/escrow';

jest.setTimeout(60_000);

let accounts: ChainAccounts;
beforeAll(async () => {
  accounts = await openChainAccounts();
});
afterAll(() => accounts[Symbol.asyncDispose]());

/** Requests a job for this data set, and returns it as the queue has it. */
async function request(role: ReaderName, sha256: Sha256) {
  const dataset = `sha256:${sha256}`;
  const deadlineMs = (await accounts.chain.nowMs()) + 3_600_000;
  const emeth = await accounts.emethOf(anvilRoles[role]);
  const { jobId } = await emeth.request({ dataset, params: '{}', feeWei: FEE, fuelLimit: FUEL, deadlineMs });
  return { id: jobId, requester: emeth.address, dataset };
}

/** Takes a data set as the master of `node` with these blobs, from the storage, under the tables of `own`. */
async function take(
  job: { id: JobId; requester: string; dataset: string },
  { storage, own = storage, blobs = own.blobs }: { storage: ChainStorage; own?: ChainStorage; blobs?: BlobStore },
): Promise<string> {
  const options = { storages: [storage.url], allowPrivate: false, maxBytes: 1 << 20, allowFiles: false };
  const wallet = await accounts.walletOf('node');
  const deps = { options, blobs, holders: own.store.blobHolders, wallet };
  const taken = fetchJobData(job as Parameters<typeof fetchJobData>[0], deps, new AbortController().signal);
  return taken.then(
    ({ sha256 }) => `sha256:${sha256}`,
    (error: { code: string }) => error.code,
  );
}

test('own storage: data are trained for who uploaded them, not who names them', async () => {
  await using storage = await openChainStorage(accounts, 'own');
  const book = randomBytes(5000);
  const name = await storage.upload('requester', book);
  const theirs = await request('requester', name);
  expect(await take(theirs, { storage })).toBe(theirs.dataset);
  const thief = await request('stranger', name);
  expect(await take(thief, { storage })).toBe('dataset/missing');
  await storage.upload('stranger', book);
  expect(await take(thief, { storage })).toBe(thief.dataset);
  expect(await readdir(storage.file('apart'))).toEqual([]);
});

test("another's storage: asked for each requester, also for data that are here already", async () => {
  await using own = await openChainStorage(accounts, 'own');
  await using storage = await openChainStorage(accounts, 'apart');
  const book = randomBytes(5000);
  const name = await storage.upload('requester', book);
  const theirs = await request('requester', name);
  expect(await take(theirs, { storage, own })).toBe(theirs.dataset);
  expect(await own.blobs.stat(name)).toEqual({ bytes: 5000 });
  // A verifier reads them here as well.
  expect(await own.read('verifier', theirs.id, name)).toBe(200);
  const thief = await request('stranger', name);
  expect(await take(thief, { storage, own })).toBe('dataset/missing');
  expect(await own.read('stranger', thief.id, name)).toBe(404);
  await storage.upload('stranger', book);
  expect(await take(thief, { storage, own })).toBe(thief.dataset);
});
