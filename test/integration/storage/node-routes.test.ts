/** The routes of 2022: asked as a node of then asks, answered with what today's routes serve. */
import { Address, JobId, type Sha256 } from '../../../src/domain/ids';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import { readTypes, STORAGE_DOMAIN, uploadTypes } from '../../../src/protocol/storage';
import { honestManifest, testDataset, testModel } from '../../support/manifest';
import { openTestStorage, type TestStorage } from '../../support/storage';

const jobId = JobId.parse(honestManifest().jobId);
const node = Address.parse(honestManifest().node);
const name = (bytes: Uint8Array) => sha256(bytes) as Sha256;
const HOUR_MS = 3600_000;

let storage: TestStorage;
beforeEach(async () => {
  storage = await openTestStorage();
});
afterEach(() => storage[Symbol.asyncDispose]());

interface Answer {
  url?: string;
  urls?: Record<string, string>;
  uploadId?: string;
}

async function ask(path: string, body?: object): Promise<{ status: number; body: Answer }> {
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`${storage.url}/${path}`, body ? post : {});
  return { status: response.status, body: (await response.json()) as Answer };
}

/** Has the storage know the job as the chain would: requested by the wallet, with the honest result. */
async function knowJob() {
  const manifest = Buffer.from(canonicalJson(honestManifest()));
  for (const bytes of [testDataset, manifest]) await storage.blobs.addBytes(bytes);
  storage.jobs.set(jobId, {
    state: 'SUBMITTED',
    deadlineMs: Date.now() + HOUR_MS,
    requester: storage.wallet.address,
    node,
    dataset: `sha256:${name(testDataset)}@https://other.example/api/v1`,
    params: '{}',
    result: name(manifest),
  });
}

test('sizeOf: a data set by its reference or name, a model by job and node', async () => {
  await knowJob();
  const size = async (key: string) => (await ask(`sizeOf?key=${encodeURIComponent(key)}`)).body;
  const dataset = { result: testDataset.length };
  expect(await size(`dataset/sha256:${name(testDataset)}@https://other.example/api/v1`)).toEqual(dataset);
  expect(await size(`dataset/${name(testDataset)}`)).toEqual(dataset);
  const largest = Math.max(...Object.values(testModel).map(({ length }) => length));
  expect(await size(`result/${jobId}-${node}.pt`)).toEqual({ result: largest });
});

test.each([
  ['unknown data set', `dataset/${'ab'.repeat(32)}`],
  ['other node', `result/${jobId}-0x${'99'.repeat(20)}.pt`],
  ['unknown job', `result/0x${'99'.repeat(16)}-${node}.pt`],
  ['no kind', 'x'],
  ['a path', '../../etc/passwd'],
])('sizeOf %s: 404', async (_what, key) => {
  await knowJob();
  expect((await ask(`sizeOf?key=${encodeURIComponent(key)}`)).status).toBe(404);
});

test('signed-get-url: an address of the data set that needs no header, for an hour', async () => {
  await knowJob();
  const { wallet } = storage;
  const signedtime = Date.now();
  const read = { reader: wallet.address, jobId, expiresAtMs: signedtime + HOUR_MS };
  const sig = await wallet.signTyped(STORAGE_DOMAIN, readTypes, read);
  const { body } = await ask('node/signed-get-url', { sig, jobId, address: wallet.address, signedtime });
  expect(Buffer.from(await (await fetch(body.url ?? '')).arrayBuffer())).toEqual(testDataset);
  storage.passTime(HOUR_MS + 1000);
  expect((await fetch(body.url ?? '')).status).toBe(401);
});

test('signed-get-url by a stranger, or in the name of another: refused', async () => {
  await knowJob();
  const { wallet, stranger } = storage;
  const signedtime = Date.now();
  const sign = (reader: Address) =>
    stranger.signTyped(STORAGE_DOMAIN, readTypes, { reader, jobId, expiresAtMs: signedtime + HOUR_MS });
  const body = { jobId, signedtime };
  const forged = { ...body, address: wallet.address, sig: await sign(wallet.address) };
  expect((await ask('node/signed-get-url', forged)).status).toBe(401);
  const own = await ask('node/signed-get-url', {
    ...body,
    address: stranger.address,
    sig: await sign(stranger.address),
  });
  expect((await fetch(own.body.url ?? '')).status).toBe(403);
});

test('getPutSignedUrls: parts put to their addresses in order are the blob', async () => {
  const { wallet } = storage;
  const bytes = Buffer.alloc(3_000_000, 'a');
  const signedtime = Date.now();
  const upload = { owner: wallet.address, blob: `0x${name(bytes)}`, bytes: bytes.length };
  const sig = await wallet.signTyped(STORAGE_DOMAIN, uploadTypes, { ...upload, expiresAtMs: signedtime + HOUR_MS });
  const asked = { jobId, address: wallet.address, extension: '.pt' };
  const file = { sha256: name(bytes), bytes: bytes.length, partNum: 0.3 };
  const { body } = await ask('node/multipartUpload/getPutSignedUrls', { ...asked, ...file, sig, signedtime });
  const fileName = `${jobId}-${wallet.address}.pt`;
  expect(body).toMatchObject({ uploadId: name(bytes), fileName });
  const complete = { ...asked, uploadId: body.uploadId, parts: [] };
  expect((await ask('node/multipartUpload/completeUpload', complete)).status).toBe(404);
  for (const url of Object.values(body.urls ?? {})) {
    expect((await fetch(url, { method: 'PUT', body: bytes })).status).toBe(201);
  }
  expect((await ask('node/multipartUpload/completeUpload', complete)).body).toMatchObject({ fileName });
  expect(await storage.blobs.stat(name(bytes))).toEqual({ bytes: bytes.length });
});

test.each([
  ['not signed', 401, { sig: `0x${'11'.repeat(65)}` }],
  ['no address', 400, { address: 'me' }],
  ['extension with a path', 400, { extension: '/../x' }],
])('getPutSignedUrls %s: %i', async (_what, status, wrong) => {
  const body = { sig: '0x', jobId, address: node, signedtime: 1, sha256: name(testDataset), bytes: 1, extension: '' };
  expect((await ask('node/multipartUpload/getPutSignedUrls', { ...body, ...wrong })).status).toBe(status);
});
