/** `emeth request` and `emeth result` against a real chain and storage. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { BlobStore } from '../../../../src/blobs/blob-store';
import { recoverTyped } from '../../../../src/chain/sending/wallet';
import type { JobId, Sha256 } from '../../../../src/domain/ids';
import { type HttpServer, openHttp } from '../../../../src/http/server';
import { canonicalJson, sha256 } from '../../../../src/lib/hash';
import { silentLogger } from '../../../../src/lib/logger';
import type { ManifestIn } from '../../../../src/protocol/manifest';
import { STORAGE_DOMAIN, uploadTypes } from '../../../../src/protocol/storage';
import { storageRoutes } from '../../../../src/storage/routes';
import { type ClientChain, openClientChain } from '../../../support/client-chain';
import { openScratch } from '../../../support/scratch';
import { withoutVerifiers } from '../../../support/storage';

const CHAIN_ID = 31337;
let scratch: Awaited<ReturnType<typeof openScratch>>;
let storage: HttpServer;
let blobs: BlobStore;
let client: ClientChain;

beforeAll(async () => {
  scratch = await openScratch();
  blobs = new BlobStore(scratch.file('blobs'));
  const routes = storageRoutes(
    { maxUploadBytes: 1_000_000 },
    {
      ...withoutVerifiers,
      blobs,
      recoverUpload: (upload, signature) => recoverTyped(CHAIN_ID, STORAGE_DOMAIN, uploadTypes, upload, signature),
      mayUpload: async (owner) => owner === client.requester,
    },
  );
  const mount = (app: HttpServer['app']) => void app.use('/api/v1', routes);
  storage = await openHttp({ host: '127.0.0.1', port: 0 }, mount, { logger: silentLogger });
  client = await openClientChain({ storageApi: `http://127.0.0.1:${storage.port}/api/v1` });
  await writeFile(client.file('book.txt'), 'Call me Ishmael. '.repeat(1000));
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await storage[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

const request = () =>
  client.run('request', '--dataset', client.file('book.txt'), '--fee', '20emt', '--params', '{"validation":0.1}');

/** Has the other account take the job and submit a result with this model. */
async function submit(jobId: JobId, files: Record<string, string>, changes: Partial<ManifestIn> = {}): Promise<Sha256> {
  await using node = await client.openNode();
  await node.emeth.process(jobId);
  const model = Object.entries(files).map(([name, text]) => ({ name, sha256: sha256(text), bytes: text.length }));
  for (const text of Object.values(files)) await blobs.addBytes(Buffer.from(text));
  const manifest = { ...(await exampleManifest(jobId)), model, ...changes };
  const { sha256: name } = await blobs.addBytes(Buffer.from(canonicalJson(manifest)));
  const ref = { jobId, resultHash: `0x${name}`, payoutRoot: `0x${'11'.repeat(32)}` };
  await node.emeth.submit(ref, 100n, `sha256:${name}`);
  return name;
}

async function exampleManifest(jobId: JobId): Promise<ManifestIn> {
  const hash = '22'.repeat(32);
  return {
    format: 'emeth-manifest-2',
    chainId: CHAIN_ID,
    contract: client.core,
    jobId,
    node: client.requester,
    dataset: { reference: `sha256:${hash}`, sha256: hash, bytes: 17_000 },
    params: { epochs: 1, batch: 8 },
    prepared: {
      vocabSize: 256,
      epochBlocks: 1,
      blockTokens: 100,
      trainTokens: 100,
      validationTokens: 10,
      validationSequences: 1,
      dataRoot: hash,
    },
    totalBlocks: 1,
    rounds: [],
    auditSeed: { hash, seed: hash },
    audits: [],
    missedAudits: [],
    validationLoss: { start: 5.5, end: 2.5 },
    fuelUsed: 100,
    model: [],
    payoutRoot: `0x${'11'.repeat(32)}`,
    payouts: [],
  };
}

describe('request', () => {
  test('data set is a file: uploads it, once, and counts its fuel', async () => {
    const { dataset = '', fuelLimit } = await request();
    const name = dataset.replace('sha256:', '') as Sha256;
    expect(await readFile(blobs.path(name), 'utf8')).toBe(await readFile(client.file('book.txt'), 'utf8'));
    expect(fuelLimit).toBe('15300');
    expect((await request()).dataset).toBe(dataset);
  });

  test('data set in storage: its size is asked there', async () => {
    const { sha256: name } = await blobs.addBytes(Buffer.alloc(1000, 'a'));
    const quote = await client.run('request', '--dataset', `sha256:${name}`, '--fee', '20emt', '--dry-run');
    expect(quote.fuelLimit).toBe('930');
  });

  test('storage refuses, too large: fails', async () => {
    await writeFile(client.file('large.txt'), Buffer.alloc(1_000_001, 'a'));
    const failure = await client.runFailing('request', '--dataset', client.file('large.txt'), '--fee', '20emt');
    expect(failure).toMatchObject({ status: 1, code: 'blobs/storage-refused' });
    expect(failure.message).toContain('1000000');
  });

  test('blob the storage lacks: throws dataset/missing', async () => {
    const failure = await client.runFailing('request', '--dataset', `sha256:${'99'.repeat(32)}`, '--fee', '20emt');
    expect(failure).toMatchObject({ status: 3, code: 'dataset/missing' });
  });

  test('no storage: throws blobs/storage-unreachable', async () => {
    const argv = ['request', '--dataset', client.file('book.txt'), '--fee', '20emt', '--storage', 'http://127.0.0.1:1'];
    expect(await client.runFailing(...argv)).toMatchObject({ status: 1, code: 'blobs/storage-unreachable' });
  });
});

describe('result', () => {
  const files = { 'config.json': '{}', 'model.safetensors': 'weights' };

  test('submitted result: the model, every hash checked', async () => {
    const { jobId } = await request();
    const manifest = await submit(jobId as JobId, files);
    const out = client.file('model');
    const result = await client.run<Record<string, unknown>>('result', jobId ?? '', '--out', out);
    expect(result).toMatchObject({ jobId, state: 'SUBMITTED', manifest, validationLoss: { start: 5.5, end: 2.5 } });
    expect((await readdir(out)).sort()).toEqual(Object.keys(files));
    expect(await readFile(`${out}/model.safetensors`, 'utf8')).toBe('weights');
    expect(await client.runFailing('result', jobId ?? '', '--out', out)).toMatchObject({ code: 'files/exists' });
  });

  test('no result yet: throws result/not-found', async () => {
    const { jobId } = await request();
    expect(await client.runFailing('result', jobId ?? '')).toMatchObject({ status: 3, code: 'result/not-found' });
  });

  test('manifest of another job: throws result/not-bound', async () => {
    const { jobId } = await request();
    await submit(jobId as JobId, files, { jobId: `0x${'77'.repeat(16)}` });
    const failure = await client.runFailing('result', jobId ?? '', '--out', client.file('other'));
    expect(failure).toMatchObject({ status: 1, code: 'result/not-bound' });
  });

  test('file of the model missing: fails and leaves nothing', async () => {
    const { jobId } = await request();
    await submit(jobId as JobId, { ...files, 'gone.bin': 'gone' });
    await blobs.remove(sha256('gone') as Sha256);
    const failure = await client.runFailing('result', jobId ?? '', '--out', client.file('partial'));
    expect(failure).toMatchObject({ status: 3, code: 'blobs/not-stored' });
    expect((await readdir(client.file('.'))).filter((name) => name.startsWith('partial'))).toEqual([]);
  });

  test('file of the model changed: fails', async () => {
    const { jobId } = await request();
    await submit(jobId as JobId, { 'tampered.bin': 'honest bytes' });
    await writeFile(blobs.path(sha256('honest bytes') as Sha256), 'forged bytes');
    const failure = await client.runFailing('result', jobId ?? '', '--out', client.file('forged'));
    expect(failure.code).toBe('blobs/hash-mismatch');
  });
});
