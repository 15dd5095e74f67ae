/** Who reads what of a job: real wallets at a real storage over HTTP, with a real chain behind it. */
import { randomBytes } from 'node:crypto';
import { blobReaderOf } from '../../../src/app/blob-reader';
import { BlobStore } from '../../../src/blobs/blob-store';
import { openReadPass } from '../../../src/blobs/read-pass';
import type { JobId, Sha256 } from '../../../src/domain/ids';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import { NO_JOB, readTypes, STORAGE_DOMAIN, uploadTypes } from '../../../src/protocol/storage';
import { type ChainAccounts, openChainAccounts } from '../../support/chain-accounts';
import { anvilRoles, type ChainStorage, openChainStorage, type ReaderName } from '../../support/chain-storage';
import { FEE, FUEL } from '../../support/escrow';
import { honestManifest, testModel } from '../../support/manifest';

jest.setTimeout(60_000);

let accounts: ChainAccounts;

const walletOf = (role: ReaderName) => accounts.walletOf(anvilRoles[role]);
const emethOf = (role: ReaderName) => accounts.emethOf(anvilRoles[role]);

beforeAll(async () => {
  accounts = await openChainAccounts();
  await accounts.escrow.registerNode(anvilRoles.otherNode);
});
afterAll(() => accounts[Symbol.asyncDispose]());

async function request(role: ReaderName, data: string, params: object = {}): Promise<JobId> {
  const deadlineMs = (await accounts.chain.nowMs()) + 3_600_000;
  const emeth = await emethOf(role);
  const job = { dataset: `sha256:${data}`, params: JSON.stringify(params), feeWei: FEE, fuelLimit: FUEL, deadlineMs };
  return (await emeth.request(job)).jobId;
}

/** Has a node take the job and submit a manifest that names the model and these updates. */
async function finish(
  place: ChainStorage,
  node: ReaderName,
  jobId: JobId,
  names: { updates: string[]; model?: string },
) {
  const emeth = await emethOf(node);
  await emeth.process(jobId);
  const manifest = honestManifest(jobId);
  manifest.rounds[0]!.leases.forEach((lease, i) => {
    lease.update = names.updates[i] ?? lease.update;
  });
  if (names.model !== undefined) manifest.model[0]!.sha256 = names.model;
  const bytes = Buffer.from(canonicalJson(manifest));
  const name = await place.upload(node, bytes);
  const ref = { jobId, resultHash: `0x${name}`, payoutRoot: manifest.payoutRoot };
  await emeth.submit(ref, FUEL / 2n, `sha256:${name}`);
  return { manifest: name, ref };
}

describe.each(['own', 'apart'] as const)('storage of its node, or of its own: %s', (kind) => {
  let place: ChainStorage;
  beforeAll(async () => {
    place = await openChainStorage(accounts, kind);
  });
  afterAll(() => place[Symbol.asyncDispose]());
  const text = (label: string) => Buffer.from(`${label} ${randomBytes(8).toString('hex')}`);
  const readAll = async (roles: readonly (ReaderName | undefined)[], jobId: JobId, name: string) =>
    Promise.all(roles.map((role) => place.read(role, jobId, name)));

  test('open job, then one that a node has: its data set', async () => {
    const data = await place.upload('requester', text('a book'));
    const jobId = await request('requester', data);
    const everybody = ['requester', 'verifier', 'node', 'otherNode', 'stranger', 'otherRequester', undefined] as const;
    expect(await readAll(everybody, jobId, data)).toEqual([200, 200, 200, 200, 403, 403, 401]);
    await (await emethOf('otherNode')).process(jobId);
    expect(await readAll(everybody, jobId, data)).toEqual([200, 200, 403, 200, 403, 403, 401]);
    await (await emethOf('otherNode')).decline(jobId);
    expect(await readAll(['otherNode', 'stranger'], jobId, data)).toEqual([200, 403]);
  });

  test("finished job: model and updates go to its parties, not to another's node", async () => {
    const data = await place.upload('requester', text('a book'));
    const jobId = await request('requester', data);
    const update = await place.upload('node', text('an update'));
    const model = await place.upload('node', text('a model'));
    const { manifest, ref } = await finish(place, 'node', jobId, { updates: [update], model });
    // `otherNode` has a job of its own.
    const others = await request('otherRequester', await place.upload('otherRequester', text('another book')));
    await (await emethOf('otherNode')).process(others);
    for (const name of [data, update, model])
      expect(await readAll(['requester', 'node', 'verifier'], jobId, name)).toEqual([200, 200, 200]);
    for (const name of [data, update, model]) {
      expect(await readAll(['otherNode', 'stranger', 'otherRequester', undefined], jobId, name)).toEqual([
        403, 403, 403, 401,
      ]);
      expect(await readAll(['otherNode', 'otherRequester'], others, name)).toEqual([404, 404]);
    }
    expect(await readAll(['stranger', undefined], jobId, manifest)).toEqual([200, 200]);

    const evidence = await place.upload('verifier', text('evidence'));
    const reason = `0x${evidence.slice(0, 32)}`;
    expect(await place.read(undefined, jobId, evidence)).toBe(401);
    await (await emethOf('verifier')).rejectResult(ref, reason);
    expect(await readAll(['stranger', undefined], jobId, evidence)).toEqual([200, 200]);
    // The contract names neither requester nor node of a rejected job any more.
    expect(await readAll(['requester', 'node', 'stranger'], jobId, update)).toEqual([200, 200, 403]);
  });

  test("another's data set named in a job of one's own: not opened by it", async () => {
    const data = await place.upload('requester', text('a secret'));
    const theirs = await request('stranger', data);
    expect(await readAll(['stranger', 'otherNode', 'verifier'], theirs, data)).toEqual([404, 404, 404]);
    const { manifest } = await finish(place, 'otherNode', theirs, { updates: [data], model: data });
    expect(await readAll(['stranger', 'otherNode', 'verifier'], theirs, data)).toEqual([404, 404, 404]);
    expect(await place.read('stranger', theirs, manifest)).toBe(200);
    expect(await place.read('requester', NO_JOB, data)).toBe(200);
    // Nor does a result that is the data set itself.
    const again = await request('stranger', data);
    const emeth = await emethOf('otherNode');
    await emeth.process(again);
    await emeth.submit({ jobId: again, resultHash: `0x${data}`, payoutRoot: `0x${'1'.repeat(64)}` }, 1n, 'none');
    expect(await readAll(['stranger', 'otherNode', undefined], again, data)).toEqual([404, 404, 401]);
  });

  test('public job: everybody reads its data and work, and caches may keep them', async () => {
    const data = await place.upload('requester', text('a public book'));
    const jobId = await request('requester', data, { public: true });
    const update = await place.upload('node', text('a public update'));
    await finish(place, 'node', jobId, { updates: [update] });
    expect(await readAll(['stranger', undefined], jobId, data)).toEqual([200, 200]);
    expect(await readAll(['stranger', undefined], jobId, update)).toEqual([200, 200]);
    expect(await place.read(undefined, jobId, await place.upload('requester', text('otherNode')))).toBe(404);
    const answer = await fetch(`${place.url}/blobs/${data}?job=${jobId}`);
    expect(answer.headers.get('cache-control')).toMatch(/^public/);
  });
});

test('blob that is here already: its second uploader proves to have it', async () => {
  await using place = await openChainStorage(accounts, 'apart');
  const book = randomBytes(20_000);
  const name = await place.upload('requester', book);
  expect(await place.read('otherRequester', NO_JOB, name)).toBe(403);
  expect(await place.read('otherRequester', NO_JOB, sha256('not here'))).toBe(403);
  const wallet = await walletOf('otherRequester');
  const put = async (headers: Record<string, string>) => {
    const upload = { owner: wallet.address, blob: `0x${name}`, bytes: book.length, expiresAtMs: Date.now() + 60_000 };
    const signature = await wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
    const authorization = `Emeth ${wallet.address} ${upload.expiresAtMs} ${signature}`;
    const sent = { authorization, 'upload-length': String(book.length), ...headers };
    const response = await fetch(`${place.url}/uploads/${name}`, { method: 'PUT', headers: sent });
    return [response.status, ((await response.json()) as { error?: { code: string } }).error?.code];
  };
  expect(await put({})).toEqual([428, 'storage/proof-needed']);
  expect(await put({ 'upload-proof': name })).toEqual([403, 'storage/wrong-proof']);
  expect(await place.read('otherRequester', NO_JOB, name)).toBe(403);
  expect(await place.upload('otherRequester', book).catch((error: Error) => error.message)).toMatch(
    /wrong one is not looked/,
  );
  expect(await place.read('otherNode', NO_JOB, await place.upload('otherNode', book))).toBe(200);
});

test('upload of which a restart forgot the sender: only a proof makes a holder', async () => {
  await using place = await openChainStorage(accounts, 'apart');
  const book = randomBytes(5000);
  const name = sha256(book) as Sha256;
  const put = async (role: ReaderName, offset: number, end: number) => {
    const wallet = await walletOf(role);
    const upload = { owner: wallet.address, blob: `0x${name}`, bytes: book.length, expiresAtMs: Date.now() + 60_000 };
    const signature = await wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
    const headers = {
      authorization: `Emeth ${wallet.address} ${upload.expiresAtMs} ${signature}`,
      'upload-length': String(book.length),
      'upload-offset': String(offset),
    };
    return (await fetch(`${place.url}/uploads/${name}`, { method: 'PUT', headers, body: book.subarray(offset, end) }))
      .status;
  };
  expect(await put('requester', 0, 4999)).toBe(202);
  expect(await put('stranger', 4999, 5000)).toBe(423);
  place.restart();
  expect(await put('requester', 4999, 5000)).toBe(428);
  expect(await place.read('requester', NO_JOB, name)).toBe(403);
  await place.upload('requester', book);
  expect(await place.read('requester', NO_JOB, name)).toBe(200);
});

test('signature of another account, job, chain or time: 401, and the way to sign', async () => {
  await using place = await openChainStorage(accounts, 'apart');
  const data = await place.upload('requester', Buffer.from('a book of one chapter'));
  const jobId = await request('requester', data);
  const wallet = await walletOf('requester');
  const { address: reader } = wallet;
  const ask = async (changes: { jobId?: JobId; spanMs?: number; chainId?: number; signer?: ReaderName }) => {
    const expiresAtMs = Date.now() + (changes.spanMs ?? 60_000);
    const read = { reader, jobId: changes.jobId ?? jobId, expiresAtMs };
    const signer = await walletOf(changes.signer ?? 'requester');
    const signature = await signer.signTyped(STORAGE_DOMAIN, readTypes, read, changes.chainId);
    const authorization = `Emeth-Read ${reader} ${jobId} ${expiresAtMs} ${signature}`;
    const response = await fetch(`${place.url}/blobs/${data}`, { headers: { authorization } });
    return [response.status, await response.text()] as const;
  };
  expect((await ask({}))[0]).toBe(200);
  for (const wrong of [{ jobId: NO_JOB }, { spanMs: -5000 }, { spanMs: 25 * 3600_000 }, { chainId: 1 }]) {
    const [status, words] = await ask(wrong);
    expect([status, words]).toEqual([401, expect.stringContaining('Authorization: Emeth-Read <address> <jobId>')]);
  }
  expect((await ask({ spanMs: -5000 }))[1]).toMatch(/expired [56] s ago; correct the clock/);
  expect((await ask({ signer: 'stranger' }))[0]).toBe(401);
  expect((await fetch(`${place.url}/blobs/${data}`, { method: 'HEAD' })).headers.get('content-length')).toBe('21');
  const answer = await fetch(`${place.url}/blobs/${data}`);
  expect([answer.status, answer.headers.get('cache-control')]).toEqual([401, null]);
});

test('a hundred reads of one job, by ranges too: few questions to the chain', async () => {
  await using place = await openChainStorage(accounts, 'own');
  const jobId = await request('requester', await place.upload('requester', Buffer.from('a book of hundreds')));
  const update = (await place.blobs.addBytes(randomBytes(1000))).sha256;
  const model = (await place.blobs.addBytes(testModel['config.json']!)).sha256;
  await finish(place, 'node', jobId, { updates: [update], model });
  const before = place.questions();
  for (let i = 0; i < 50; i++) {
    expect(await place.read('requester', jobId, update, { range: `bytes=${i + 1}-` })).toBe(206);
    expect(await place.read('requester', jobId, model)).toBe(200);
  }
  expect(place.questions() - before).toBeLessThanOrEqual(4);
});

test('reader without a key, at a job that is not public: told which key, and how', async () => {
  await using place = await openChainStorage(accounts, 'apart');
  const data = await place.upload('requester', Buffer.from('a book without a key'));
  const jobId = await request('requester', data);
  const into = new BlobStore(place.file('reader'));
  const fetched = place.remote.download(data, into, 1000, { pass: openReadPass(jobId, undefined) });
  await expect(fetched).rejects.toMatchObject({ code: 'blobs/key-needed' });
  await expect(fetched).rejects.toThrow(
    /requester, its node and verifiers: give the key of one of them \(privateKeyFile/,
  );
  const pass = openReadPass(jobId, blobReaderOf(await walletOf('stranger')));
  await expect(place.remote.download(data, into, 1000, { pass })).rejects.toMatchObject({ code: 'blobs/no-access' });
});
