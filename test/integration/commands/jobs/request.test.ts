/** `emeth request` and `emeth result` against a real chain and storage. */

import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Wallet } from 'ethers';
import { openAccount } from '../../../../src/app/account';
import { JobRecords } from '../../../../src/app/job-records';
import { BlobStore } from '../../../../src/blobs/blob-store';
import { boardRoutes } from '../../../../src/board/routes';
import { type Chain, openChain } from '../../../../src/chain/rpc/client';
import { recoverTyped } from '../../../../src/chain/sending/wallet';
import { Address, type JobId, type Sha256 } from '../../../../src/domain/ids';
import { clientBehind } from '../../../../src/http/client-address';
import { type HttpServer, openHttp } from '../../../../src/http/server';
import { canonicalJson, sha256 } from '../../../../src/lib/hash';
import { silentLogger } from '../../../../src/lib/logger';
import type { JobWhy } from '../../../../src/protocol/board';
import type { ManifestIn } from '../../../../src/protocol/manifest';
import { STORAGE_DOMAIN, uploadTypes } from '../../../../src/protocol/storage';
import { devKeys } from '../../../../src/runner/anvil';
import { storageRoutes } from '../../../../src/storage/routes';
import { openStore, type Store } from '../../../../src/store/open';
import { builtCli, runInProcess } from '../../../support/cli';
import { type ClientChain, openClientChain } from '../../../support/client-chain';
import { plannedParams } from '../../../support/planned-params';
import { openScratch } from '../../../support/scratch';
import { withoutJobs, withoutVerifiers } from '../../../support/storage';
import { openTestSpace } from '../../../support/storage-space';

const CHAIN_ID = 31337;
const EMT = 10n ** 18n;
let scratch: Awaited<ReturnType<typeof openScratch>>;
let storage: HttpServer;
let blobs: BlobStore;
let client: ClientChain;
let store: Store;
let chain: Chain;
let records: JobRecords;
/** What accounts have uploaded, and the node, which has all that is stored. */
const holders = new Map<string, true>();
const node = Address.parse(new Wallet(devKeys[1]).address);
/** What the master says of a job. */
let whyOf: (jobId: JobId) => JobWhy | undefined = () => undefined;

beforeAll(async () => {
  scratch = await openScratch();
  blobs = new BlobStore(scratch.file('blobs'));
  store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
  const routes = storageRoutes(
    { maxUploadBytes: 1_000_000, url: 'http://127.0.0.1/api/v1' },
    {
      ...withoutVerifiers,
      blobs,
      clientAddress: clientBehind([]),
      recoverUpload: (upload, signature) => recoverTyped(CHAIN_ID, STORAGE_DOMAIN, uploadTypes, upload, signature),
      space: openTestSpace({ blobs, store, account: (owner) => (owner === client.requester ? {} : { moneyWei: 0n }) })
        .space,
      ...withoutJobs(CHAIN_ID, holders),
      jobRecord: (jobId) => records.find(jobId),
      isHolder: async (sha256, account) => account === node || holders.has(`${sha256} ${account}`),
    },
  );
  const board = boardRoutes({
    store,
    cursorId: 'unused',
    clientAddress: clientBehind([]),
    why: async (jobId) => whyOf(jobId),
  });
  const mount = (app: HttpServer['app']) => void app.use('/api/v1', board, routes);
  storage = await openHttp({ host: '127.0.0.1', port: 0 }, mount, { logger: silentLogger });
  client = await openClientChain({ storageApi: `http://127.0.0.1:${storage.port}/api/v1` });
  chain = await openChain({ endpoint: client.url, core: client.core, token: client.token });
  records = new JobRecords(chain, async () => undefined);
  await writeFile(client.file('book.txt'), 'Call me Ishmael. '.repeat(1000));
});

afterAll(async () => {
  await chain[Symbol.asyncDispose]();
  await client[Symbol.asyncDispose]();
  await storage[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
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
    params: plannedParams({ epochs: 1, batch: 8 }),
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
    expect(fuelLimit).toBe('14336');
    expect((await request()).dataset).toBe(dataset);
  });

  test('data set in storage: fetched, checked and counted', async () => {
    const { sha256: name } = await blobs.addBytes(Buffer.from('Call me Ishmael. '.repeat(200)));
    holders.set(`${name} ${client.requester}`, true);
    const quote = await client.run('request', '--dataset', `sha256:${name}`, '--fee', '20emt', '--dry-run');
    expect(quote).toMatchObject({ bytes: 3400, fuelLimit: '3072', tokens: { trainTokens: 3162, epochBlocks: 3 } });
  });

  test('storage refuses, too large: fails', async () => {
    await writeFile(client.file('large.txt'), Buffer.alloc(1_000_001, 'a'));
    const failure = await client.runFailing('request', '--dataset', client.file('large.txt'), '--fee', '20emt');
    expect(failure).toMatchObject({ status: 1, code: 'blobs/storage-refused' });
    expect(failure.message).toContain('1000000');
  });

  test('no storage: throws blobs/storage-unreachable', async () => {
    const argv = ['request', '--dataset', client.file('book.txt'), '--fee', '20emt', '--storage', 'http://127.0.0.1:1'];
    expect(await client.runFailing(...argv)).toMatchObject({ status: 1, code: 'blobs/storage-unreachable' });
  });
});

test('request --wait, the master skips the job: its reason is told, and the way out', async () => {
  const reason = 'The dataset gives 10 tokens\u001b[2J.';
  const asked: JobId[] = [];
  whyOf = (jobId) => {
    if (asked.push(jobId) === 1) void cancel(jobId);
    return { state: 'skipped', reason };
  };
  const book = ['request', '--dataset', client.file('book.txt'), '--fee', '20emt', '--wait'];
  const config = ['--config', client.file('client.json'), '--data-dir', client.file('data')];
  const { status, talk } = await runInProcess(...book, ...config);
  expect(status).toBe(1);
  expect(talk).toContain('/api/v1 has skipped it: The dataset gives 10 tokens\ufffd[2J.\n');
  expect(talk).toContain(`to have the fee back now: emeth cancel ${asked[0]}\n`);
});

/** Not by a command: its output would mix with that of the command under test. */
async function cancel(jobId: JobId): Promise<void> {
  await using account = await openAccount({ config: client.file('client.json'), dataDir: client.file('data') });
  await account.emeth.cancel(jobId);
}

describe('request that nobody would take', () => {
  const tiny = '{"model":{"context":16},"batch":1}';

  beforeAll(async () => {
    await writeFile(client.file('eleven.txt'), 'hello world');
    await writeFile(client.file('long.txt'), 'Call me Ishmael. '.repeat(7200));
    await writeFile(client.file('letter.txt'), 'a'.repeat(20_000));
    await writeFile(client.file('edge.txt'), `${'a'.repeat(130)}\n${'b'.repeat(14)}`);
    await writeFile(client.file('zip'), Buffer.from([0x1f, 0x8b, 0x08, 0x00, 0x00]));
  });

  test.each([
    [
      'eleven bytes',
      'eleven.txt',
      '{}',
      /11 bytes; one block of 8 × 128 tokens .* need at least 1154\. Give more text/,
    ],
    ['less than one large block', 'long.txt', '{"batch":4096,"model":{"context":8192}}', /122400 bytes/],
    [
      'one letter in byte pairs',
      'letter.txt',
      '{"tokenizer":{"type":"bpe"}}',
      /The dataset gives \d+ tokens to train on/,
    ],
    ['a held-out part shorter than its bound', 'edge.txt', tiny, /\d+ held out; one block needs 17 and 17/],
    ['half an archive', 'zip', '{}', /cannot be unpacked: .* Pack it again/],
    ['a model for no device', 'long.txt', '{"model":{"layers":96,"heads":128,"width":16384}}', /no device has more/],
    ['a misspelt parameter', 'long.txt', '{"lr":0.1}', /did you mean inner.lr\?/],
  ])('%s: refused, nothing uploaded or locked', async (_name, file, params, words) => {
    await expectRefused(['--dataset', client.file(file), '--fee', '20emt', '--params', params], words);
  });

  test.each([
    ['a blob nobody stores', `sha256:${'99'.repeat(32)}`, /cannot be fetched: .* There is no blob 9999/],
    ['a server that is not there', 'https://emeth.invalid/book.txt', /cannot be fetched/],
    ['an address of a private network', 'https://127.0.0.1/book.txt', /not a public https address/],
    ['a file that is not here', 'file:/nowhere/book.txt', /cannot be fetched/],
  ])('%s: refused, although the fuel is named', async (_name, dataset, words) => {
    await expectRefused(['--dataset', dataset, '--fee', '20emt', '--fuel-limit', '1000'], words);
  });

  test.each([
    ['a fee without its unit', ['--fee', '10'], /10emt or 10wei\?/],
    ['a fee below the minimum', ['--fee', '5wei'], /below the contract's minimum of/],
    ['more than the account has', ['--fee', '999999999emt'], /needs .*; send it the difference/],
    ['a deadline too near', ['--fee', '20emt', '--deadline', '5s'], /the contract demands at least/],
    ['more fuel than the contract stores', ['--fee', '20emt', '--fuel-limit', '1099511627776'], /lower --fuel-limit/],
  ])('%s: refused, nothing uploaded or locked', async (_name, argv, words) => {
    await expectRefused(['--dataset', client.file('long.txt'), ...argv], words);
  });

  test('account without coin for gas: refused, nothing uploaded or locked', async () => {
    const poor = await openPoorAccount();
    await expectRefused(['--dataset', client.file('long.txt'), '--fee', '20emt'], /for gas; send it the diff/, poor);
  });

  /** Refused with status 2 both ways, before the storage or the contract has anything of it. */
  async function expectRefused(argv: string[], words: RegExp, run: ClientChain['runFailing'] = client.runFailing) {
    const before = [await client.provider.getBlockNumber(), await readdir(scratch.path, { recursive: true })];
    for (const way of [[], ['--dry-run']]) {
      expect(await run('request', ...argv, ...way)).toMatchObject({ status: 2, message: expect.stringMatching(words) });
    }
    expect([await client.provider.getBlockNumber(), await readdir(scratch.path, { recursive: true })]).toEqual(before);
  }

  /** A requester with tokens and no coin. */
  async function openPoorAccount(): Promise<ClientChain['runFailing']> {
    const key = `0x${'7'.repeat(64)}`;
    const path = await client.writeConfig(key, { storageApi: `http://127.0.0.1:${storage.port}/api/v1` });
    const { address } = new Wallet(key);
    const transfer = `0xa9059cbb${address.slice(2).padStart(64, '0')}${(100n * 10n ** 18n).toString(16).padStart(64, '0')}`;
    const signer = new Wallet(devKeys[0], client.provider);
    await (await signer.sendTransaction({ to: client.token, data: transfer })).wait();
    return async (...argv) => {
      const { status, talk } = await runInProcess(
        ...argv,
        '--config',
        path,
        '--data-dir',
        client.file('poor'),
        '--json',
      );
      return { status, ...(JSON.parse(talk) as { error: { code: string; message: string } }).error };
    };
  }
});

test('dry run: tokens, model, rates, price and time left, for people and as JSON', async () => {
  const { jobId } = await request();
  const argv = ['request', '--dataset', client.file('book.txt'), '--fee', '20emt', '--deadline', '3h', '--dry-run'];
  const quote = await client.run<Record<string, unknown>>(...argv);
  expect(quote).toMatchObject({
    tokens: { trainTokens: 15810, validationTokens: 1190, epochBlocks: 15, blockTokens: 1024 },
    parameters: 842_496,
    modelBytes: 4 * 842_496,
    feePerMTokensWei: String((20n * EMT * 1_000_000n) / 15_360n),
    totalWei: String(22n * EMT),
    sent: false,
  });
  // Fuel says what is paid for: a node trains on all of the data either way.
  const named = await client.run<Record<string, unknown>>(...argv, '--fuel-limit', '1000000000');
  expect(named.settled).toMatchObject({ round: { steps: 12 } });
  expect(named.settled).toEqual(quote.settled);
  const [newest] = quote.recentJobs as { jobId: string; feeWei: string }[];
  expect(newest).toMatchObject({ jobId, feeWei: String(20n * EMT) });
  expect(Math.abs(Number(quote.leftMs) - 3 * 3_600_000)).toBeLessThan(60_000);
  const config = ['--config', client.file('client.json'), '--data-dir', client.file('data')];
  const { status, out } = await runInProcess(...argv, ...config);
  expect(status).toBe(0);
  for (const words of [
    'tokens     15,810 to train on (15 blocks of 1,024), 1,190 held out',
    'model      842,496 parameters, 3.4 MB; training needs about ',
    'round      each worker gets 855.7 kB and sends 855.7 kB',
    'data       1 text',
    '20 EMT, which is 1302.0833 EMT per million tokens',
    'lately     the last ',
    'in all     22 EMT: on top of the fee',
    'ETH; gas is about 0.0',
  ])
    expect(out).toContain(words);
});

test('data set by a pipe: read once, uploaded whole; another pipe gives the same', async () => {
  const argv = ['--fee', '20emt', '--config', client.file('client.json'), '--data-dir', client.file('data'), '--json'];
  const piped = async (...more: string[]) => {
    const command = `cat '${client.file('book.txt')}' | '${process.execPath}' '${builtCli()}' "$@"`;
    const { stdout } = await promisify(execFile)('sh', ['-c', command, 'sh', 'request', ...more, ...argv]);
    return JSON.parse(stdout) as { dataset: string; fuelLimit: string };
  };
  const name = `sha256:${sha256('Call me Ishmael. '.repeat(1000))}`;
  expect(await piped('--dataset', '/dev/stdin', '--dry-run')).toMatchObject({ dataset: name, fuelLimit: '15360' });
  expect(await piped('--dataset', '-')).toMatchObject({ dataset: name, fuelLimit: '15360' });
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

  test('account without a key: a public model, and of another which key it takes', async () => {
    const storageApi = `http://127.0.0.1:${storage.port}/api/v1`;
    const keyless = await client.as('0xkeyless', { privateKey: undefined, storageApi });
    const book = ['request', '--dataset', client.file('book.txt'), '--fee', '20emt'];
    const open = await client.run(...book, '--params', '{"public":true}');
    await submit(open['jobId'] as JobId, files);
    const out = client.file('public');
    expect(await keyless('result', open['jobId'] ?? '', '--out', out)).toMatchObject({ state: 'SUBMITTED' });
    expect(await readFile(`${out}/model.safetensors`, 'utf8')).toBe('weights');
    const closed = await request();
    await submit(closed.jobId as JobId, files);
    const failed = keyless('result', closed.jobId ?? '', '--out', client.file('closed'));
    await expect(failed).rejects.toThrow(/blobs\/key-needed.*requester, its node and verifiers: give the key of one/);
  });

  test("account of a stranger: another's model is refused", async () => {
    const { jobId } = await request();
    await submit(jobId as JobId, files);
    const stranger = await client.as(devKeys[2], { storageApi: `http://127.0.0.1:${storage.port}/api/v1` });
    const failed = stranger('result', jobId ?? '', '--out', client.file('stolen'));
    await expect(failed).rejects.toThrow(/blobs\/no-access.*its node and registered verifiers may read/);
  });
});
