/** A real storage API for tests, with one account that may upload and one that may not. */
import { join } from 'node:path';
import { blobReaderOf } from '../../src/app/blob-reader';
import { BlobStore } from '../../src/blobs/blob-store';
import { openReadPass, type ReadPass } from '../../src/blobs/read-pass';
import type { SignUpload } from '../../src/blobs/remote-blobs';
import type { StoredBlobs } from '../../src/blobs/stored-blobs';
import { openWallet, recoverTyped, type Wallet } from '../../src/chain/sending/wallet';
import type { Address, JobId } from '../../src/domain/ids';
import type { StorageRules } from '../../src/domain/storage-quota';
import { clientBehind } from '../../src/http/client-address';
import { openHttp } from '../../src/http/server';
import type { DiskFloor } from '../../src/lib/disk-floor';
import { silentLogger } from '../../src/lib/logger';
import { NO_JOB, readTypes, STORAGE_DOMAIN, uploadTypes } from '../../src/protocol/storage';
import type { StorageDeps } from '../../src/storage/deps';
import type { JobRecord } from '../../src/storage/named-blobs';
import { storageRoutes } from '../../src/storage/routes';
import type { StatementDeps } from '../../src/storage/statements';
import { openStore } from '../../src/store/open';
import { openScratch } from './scratch';
import { openTestSpace } from './storage-space';

const CHAIN_ID = 31337;
export const MAX_UPLOAD_BYTES = 4 * 1024 * 1024;

/** A storage of no contract: nobody is a verifier there. */
export const withoutVerifiers: StatementDeps = {
  attestations: { put: async () => {}, list: async () => [] },
  evidenceRequests: { put: async () => {}, list: async () => [] },
  awaitedCommitment: async () => undefined,
  isVerifier: async () => false,
  attestationSigner: () => undefined,
  requestSigner: () => undefined,
  nowMs: () => Date.now(),
  onRequest: () => {},
};

/** Readers at a storage that knows of no job: each reads what it has shown to have, kept in `holders`. */
export function withoutJobs(
  chainId: number,
  holders: Map<string, true>,
): Pick<StorageDeps, 'recoverRead' | 'jobRecord' | 'isActiveNode' | 'isHolder' | 'addHolder'> {
  return {
    recoverRead: (read, signature) => recoverTyped(chainId, STORAGE_DOMAIN, readTypes, read, signature),
    jobRecord: async () => undefined,
    isActiveNode: async () => false,
    isHolder: async (sha256, account) => holders.has(`${sha256} ${account}`),
    addHolder: async (sha256, account) => void holders.set(`${sha256} ${account}`, true),
  };
}

type TestBlobs = StoredBlobs & Pick<BlobStore, 'addBytes'>;

/** Opens the place of a test storage's blobs; a test file that needs another than files sets it. */
export const backEnd: { isBucket: boolean; open(dir: string): Promise<TestBlobs & Partial<AsyncDisposable>> } = {
  isBucket: false,
  open: async (dir) => new BlobStore(dir),
};

export interface TestStorage extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly blobs: TestBlobs;
  /** Where the blobs lie, if in files. */
  readonly blobsDir: string;
  /** What the chain says of jobs; none at first. */
  readonly jobs: Map<JobId, JobRecord>;
  /** A directory for files of the test. */
  readonly dir: string;
  readonly wallet: Wallet;
  readonly stranger: Wallet;
  readonly sign: SignUpload;
  /** By which `wallet` reads; it holds all blobs. */
  readonly pass: ReadPass;
  /** Moves the clock of the storage forward. */
  passTime(ms: number): void;
}

interface SpaceOptions {
  /** Where blobs and index lie; by default a directory of their own. */
  dir?: string;
  floor?: DiskFloor;
  maxUploadBytes?: number;
  rules?: Partial<StorageRules>;
}

/** Opens a storage API on a free port; `wallet` may upload, `stranger` may not. */
export async function openTestStorage(
  statements: StatementDeps = withoutVerifiers,
  { dir, floor, maxUploadBytes = MAX_UPLOAD_BYTES, rules = {} }: SpaceOptions = {},
): Promise<TestStorage> {
  const scratch = await openScratch();
  const blobsDir = join(dir ?? scratch.path, 'blobs');
  const blobs = await backEnd.open(blobsDir);
  const wallet = await openWallet({ privateKey: `0x${'11'.repeat(32)}` }, CHAIN_ID);
  const stranger = await openWallet({ privateKey: `0x${'22'.repeat(32)}` }, CHAIN_ID);
  const store = await openStore({ kind: 'sqlite', path: join(dir ?? scratch.path, 'index.sqlite') });
  const account = (owner: Address) => (owner === wallet.address ? {} : { moneyWei: 0n });
  const { space } = openTestSpace({ blobs, store, account, floor, rules });
  let offsetMs = 0;
  const jobs = new Map<JobId, JobRecord>();
  const options = { maxUploadBytes, url: '' };
  const routes = storageRoutes(options, {
    blobs,
    clientAddress: clientBehind([]),
    ...statements,
    nowMs: () => Date.now() + offsetMs,
    recoverUpload: (upload, signature) => recoverTyped(CHAIN_ID, STORAGE_DOMAIN, uploadTypes, upload, signature),
    space,
    ...withoutJobs(CHAIN_ID, new Map()),
    isHolder: async (_sha256, account) => account === wallet.address,
    jobRecord: async (jobId) => jobs.get(jobId),
  });
  const http = await openHttp({ host: '127.0.0.1', port: 0 }, (app) => app.use('/api/v1', routes), {
    logger: silentLogger,
  });
  options.url = `http://127.0.0.1:${http.port}/api/v1`;
  return {
    url: options.url,
    jobs,
    port: http.port,
    blobs,
    blobsDir,
    dir: join(scratch.path, 'own'),
    wallet,
    stranger,
    sign: (upload) => wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload),
    pass: openReadPass(NO_JOB, blobReaderOf(wallet)),
    passTime(ms) {
      offsetMs += ms;
    },
    async [Symbol.asyncDispose]() {
      await http[Symbol.asyncDispose]();
      await blobs[Symbol.asyncDispose]?.();
      await store[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}
