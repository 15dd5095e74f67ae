import { adminRoutes } from '../admin/rpc';
import type { BlobStore } from '../blobs/blob-store';
import { boardRoutes } from '../board/routes';
import type { Chain } from '../chain/rpc/client';
import { recoverTyped, type Wallet } from '../chain/sending/wallet';
import type { MasterConfig } from '../config/schema';
import { ipGuard } from '../http/ip-guard';
import type { HttpServer } from '../http/server';
import type { Logger } from '../lib/logger';
import { version } from '../lib/version';
import type { AdminApi } from '../protocol/admin';
import { STORAGE_DOMAIN, uploadTypes } from '../protocol/storage';
import { storageRoutes } from '../storage/routes';
import type { Store } from '../store/open';

interface MasterRoutesDeps {
  config: MasterConfig;
  chain: Chain;
  wallet: Wallet;
  blobs: BlobStore;
  store: Store;
  cursorId: string;
  admin: AdminApi;
  logger: Logger;
}

/** What a master serves over HTTP: liveness, the board, storage, admin. */
export function mountMaster(app: HttpServer['app'], deps: MasterRoutesDeps): void {
  const { config, chain, wallet, blobs, store, cursorId, admin, logger } = deps;
  const isAllowedIp = ipGuard(config.jsonrpc_whitelist);
  app.get('/healthz', (_request, response) => {
    response.json({ status: 'ok', version, chainId: chain.chainId, address: wallet.address });
  });
  app.use('/api/json-rpc', adminRoutes({ isAllowedIp, origins: [new URL(config.my_url).origin] }, admin, logger));
  app.use('/api/v1', boardRoutes({ store, cursorId }));
  app.use(
    '/api/v1',
    storageRoutes(
      { maxUploadBytes: config.maxUploadBytes },
      {
        blobs,
        nowMs: () => Date.now(),
        recoverUpload: (upload, signature) =>
          recoverTyped(chain.chainId, STORAGE_DOMAIN, uploadTypes, upload, signature),
        // Requesters and nodes have money here; storage for everybody else would be storage for anything.
        mayUpload: async (owner) =>
          owner === wallet.address || (await chain.credit(owner)) + (await chain.tokenBalance(owner)) > 0n,
      },
    ),
  );
}
