/** A real storage with a real chain behind it, and accounts that upload to it and read from it. */
import { blobReaderOf } from '../../src/app/blob-reader';
import { storageDeps } from '../../src/app/storage-deps';
import { openSpace } from '../../src/app/storage-space';
import { BlobStore } from '../../src/blobs/blob-store';
import { openReadPass } from '../../src/blobs/read-pass';
import { RemoteBlobs } from '../../src/blobs/remote-blobs';
import type { JobId, Sha256 } from '../../src/domain/ids';
import { clientBehind } from '../../src/http/client-address';
import { openHttp } from '../../src/http/server';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { STORAGE_DOMAIN, uploadTypes } from '../../src/protocol/storage';
import { storageRoutes } from '../../src/storage/routes';
import { openStore, type Store } from '../../src/store/open';
import type { ChainAccounts } from './chain-accounts';
import type { Role } from './escrow';
import { openScratch } from './scratch';
import { testRules } from './storage-space';

/** The accounts that have a key, by what they are here. */
export const anvilRoles = {
  requester: 'requester',
  node: 'node',
  verifier: 'verifier',
  otherNode: 'challenger',
  otherRequester: 'admin',
  stranger: 'verifier2',
} as const satisfies Record<string, Role>;
export type ReaderName = keyof typeof anvilRoles;

export interface ChainStorage extends AsyncDisposable {
  readonly url: string;
  readonly remote: RemoteBlobs;
  readonly blobs: BlobStore;
  readonly store: Store;
  /** Returns the path of a file of the test. */
  file(name: string): string;
  /** How often the chain was asked about a job. */
  questions(): number;
  /** What only lives in memory is gone. */
  restart(): void;
  upload(role: ReaderName, bytes: Uint8Array): Promise<Sha256>;
  /** Reads as a role, and returns the status; without one, as anybody. */
  read(role: ReaderName | undefined, jobId: JobId, name: string, headers?: Record<string, string>): Promise<number>;
}

/** A storage of this chain; `own`: that of the node's master, in which the node need not upload. */
export async function openChainStorage(accounts: ChainAccounts, kind: 'own' | 'apart'): Promise<ChainStorage> {
  const { chain } = accounts;
  const walletOf = (role: ReaderName) => accounts.walletOf(anvilRoles[role]);
  const scratch = await openScratch();
  // It has not followed the chain: everything must be asked.
  const store = await openStore({ kind: 'sqlite', path: scratch.file('storage.sqlite') });
  const blobs = new BlobStore(scratch.file('blobs'));
  const wallet = kind === 'own' ? await walletOf('node') : undefined;
  let questions = 0;
  const counted = new Proxy(chain, {
    get: (target, name) => {
      if (name === 'job' || name === 'events') questions += 1;
      return Reflect.get(target, name);
    },
  });
  const shared = { blobs, chain: counted, store, logger: silentLogger };
  const { space } = openSpace({ ...shared, place: 'test', rules: testRules, own: wallet?.address, clock: systemClock });
  const deps = storageDeps({ ...shared, space, wallet, clientAddress: clientBehind([]) });
  const openRoutes = () => storageRoutes({ maxUploadBytes: 1 << 24, url: 'http://127.0.0.1/api/v1' }, deps);
  let routes = openRoutes();
  const place = { host: '127.0.0.1', port: 0 };
  const http = await openHttp(place, (app) => void app.use('/api/v1', (...args) => routes(...args)), {
    logger: silentLogger,
  });
  const url = `http://127.0.0.1:${http.port}/api/v1`;
  const remote = new RemoteBlobs(url);
  const local = new BlobStore(scratch.file('local'));

  return {
    url,
    remote,
    blobs,
    store,
    file: scratch.file,
    questions: () => questions,
    restart() {
      routes = openRoutes();
    },
    async upload(role: ReaderName, bytes: Uint8Array): Promise<Sha256> {
      const { sha256: name } = await local.addBytes(bytes);
      const from = await walletOf(role);
      const sign = (upload: object) => from.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
      await remote.upload(name, local, from.address, sign);
      return name;
    },
    async read(role: ReaderName | undefined, jobId: JobId, name: string, headers: Record<string, string> = {}) {
      const pass = openReadPass(jobId, role && blobReaderOf(await walletOf(role)));
      const response = await fetch(`${url}/blobs/${name}${pass.query}`, {
        headers: { ...(await pass.headers()), ...headers },
      });
      await response.arrayBuffer();
      return response.status;
    },
    async [Symbol.asyncDispose]() {
      for (const opened of [http, store, scratch]) await opened[Symbol.asyncDispose]();
    },
  };
}
