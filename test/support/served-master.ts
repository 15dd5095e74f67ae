/** Everything that a master serves at its port, without a chain behind it: routes and link. */
import type { Server } from 'node:http';
import { LINK_PATH, masterRoutes } from '../../src/app/master-routes';
import { openSpace } from '../../src/app/storage-space';
import { BlobStore } from '../../src/blobs/blob-store';
import { openWallet, recoverTyped, type Wallet } from '../../src/chain/sending/wallet';
import { MasterConfig } from '../../src/config/roles/master';
import { Address } from '../../src/domain/ids';
import { clientBehind } from '../../src/http/client-address';
import { ipGuard } from '../../src/http/ip-guard';
import { mountAll } from '../../src/http/mount';
import { openHttp } from '../../src/http/server';
import { systemClock } from '../../src/lib/clock';
import { silentLogger as logger } from '../../src/lib/logger';
import { type LinkServer, openLinkServer } from '../../src/link/server';
import type { AdminApi } from '../../src/protocol/admin';
import { openStore } from '../../src/store/open';
import { CHAIN_ID, newWallet } from './link-pair';
import { openScratch } from './scratch';

export interface ServedMaster extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
  readonly blobs: BlobStore;
  readonly link: LinkServer;
  /** An account that may upload. */
  readonly requester: Wallet;
}

const CORE = Address.parse(`0x${'0c'.repeat(20)}`);
const KEY = `0x${'11'.repeat(32)}`;

/** Opens a master on loopback with these settings; nothing of it asks a chain. */
export async function openServedMaster(settings: object = {}): Promise<ServedMaster> {
  const scratch = await openScratch();
  const store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
  const blobs = new BlobStore(scratch.file('blobs'));
  const [wallet, requester] = [await newWallet(), await openWallet({ privateKey: KEY }, CHAIN_ID)];
  const config = MasterConfig.parse({
    endpoint: 'http://127.0.0.1:1',
    emethContractAddress: CORE,
    tokenContractAddress: CORE,
    privateKey: KEY,
    my_url: 'https://node.example/emeth',
    ...settings,
  });
  const chain = {
    chainId: CHAIN_ID,
    core: CORE,
    job: () => Promise.reject(new Error('there is no chain')),
    headBlock: () => Promise.reject(new Error('there is no chain')),
    events: () => Promise.reject(new Error('there is no chain')),
    isVerifier: async () => false,
    isActive: async () => false,
    credit: async (account: Address) => (account === requester.address ? 10n ** 18n : 0n),
    tokenBalance: async () => 0n,
  };
  const admin = adminOf(wallet.address);
  const parts = { place: 'test', rules: config.space, own: wallet.address, clock: systemClock, logger };
  const { space } = openSpace({ ...parts, blobs, store, chain });
  const readiness = { check: async () => [] };
  const routes = masterRoutes({
    config,
    chain,
    wallet,
    blobs,
    space,
    store,
    cursorId: 'test',
    admin,
    readiness,
    logger,
  });
  const http = await openHttp({ host: '127.0.0.1', port: 0 }, (app) => mountAll(app, routes), { logger });
  const link = openLinkServer(
    { server: http.server, path: LINK_PATH, chainId: CHAIN_ID, version: '0.1.0', heartbeatMs: config.heartbeatMs },
    {
      wallet,
      recoverTyped,
      blobs,
      clientAddress: clientBehind(config.trustProxy),
      isAllowedIp: ipGuard(config.worker_whitelist),
      isBlocked: () => false,
      mayPull: () => true,
      handlers: { onConnect() {}, onMessage() {}, onClose() {} },
      logger,
      clock: systemClock,
    },
  );
  return {
    port: http.port,
    server: http.server,
    blobs,
    link,
    requester,
    async [Symbol.asyncDispose]() {
      for (const opened of [link, http, store, scratch]) await opened[Symbol.asyncDispose]();
    },
  };
}

/** The admin API of a master without workers and jobs. */
function adminOf(address: Address): AdminApi {
  const absent = async () => 'not exist' as const;
  return {
    ...{ disconnect: absent, allow: absent, measure: absent },
    workers: async () => [],
    jobs: async () => [],
    job: () => Promise.reject(new Error('there are no jobs')),
    requeue: () => Promise.reject(new Error('there are no jobs')),
    storage: async () => ({ freeBytes: 0, minFreeBytes: 0, kinds: [], accounts: [] }),
    status: async () => ({ address, chainId: CHAIN_ID, workers: 0, gflops: 0, jobs: [], checks: [] }),
  };
}
