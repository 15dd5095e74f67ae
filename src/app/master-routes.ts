/** The routes of a master as one list: a feature that serves HTTP on a master adds its entry here. */
import { adminRoutes } from '../admin/routes';
import type { BlobStore } from '../blobs/blob-store';
import { boardRoutes } from '../board/routes';
import type { Wallet } from '../chain/sending/wallet';
import { ownStorage } from '../config/derived';
import type { MasterConfig } from '../config/roles/master';
import type { JobId } from '../domain/ids';
import { clientBehind } from '../http/client-address';
import { ipGuard } from '../http/ip-guard';
import { metricsMount } from '../http/metrics';
import { healthMount, type Mount, readyMount, upgradeMount } from '../http/mount';
import { openTraffic } from '../http/traffic';
import type { Logger } from '../lib/logger';
import type { RefusalCode } from '../link/errors';
import type { AdminApi } from '../protocol/admin';
import type { JobWhy } from '../protocol/board';
import { storageRoutes } from '../storage/routes';
import type { StorageSpace } from '../storage/space';
import type { Store } from '../store/open';
import { masterFigures, readinessFigures, storedFigures } from './figures';
import type { Readiness } from './readiness';
import { type StorageParts, storageDeps } from './storage-deps';

interface MasterRoutesDeps {
  config: MasterConfig;
  chain: StorageParts['chain'];
  wallet: Pick<Wallet, 'address'>;
  blobs: BlobStore;
  space: StorageParts['space'] & Pick<StorageSpace, 'sums'>;
  store: Store;
  cursorId: string;
  admin: AdminApi;
  readiness: Pick<Readiness, 'check'>;
  logger: Logger;
}

/** Workers connect here. */
export const LINK_PATH = '/link';
const NO_UPGRADE: { code: RefusalCode; reason: string } = {
  code: 'link/no-upgrade',
  reason:
    'the connection arrived without its Upgrade headers; the proxy in front of the master must pass them on, see docs/behind-a-proxy.md',
};

export function masterRoutes({
  config,
  admin,
  logger,
  store,
  cursorId,
  readiness,
  ...deps
}: MasterRoutesDeps): readonly Mount[] {
  const isAllowedIp = ipGuard(config.jsonrpc_whitelist);
  const origins = [new URL(config.my_url).origin];
  const { maxUploadBytes, readers } = config;
  const traffic = openTraffic();
  const figures = [
    traffic.figures,
    readinessFigures(() => readiness.check()),
    masterFigures(() => admin.status()),
    storedFigures(deps.space),
  ];
  const clientAddress = clientBehind(config.trustProxy);
  return [
    traffic.mount,
    metricsMount(figures, { clientAddress, isAllowedIp: ipGuard(config.metrics_whitelist) }),
    healthMount({ chainId: deps.chain.chainId, address: deps.wallet.address }),
    readyMount(() => readiness.check()),
    upgradeMount(LINK_PATH, NO_UPGRADE),
    { path: '/api/json-rpc', router: adminRoutes({ clientAddress, isAllowedIp, origins }, admin, logger) },
    { path: '/api/v1', router: boardRoutes({ store, cursorId, clientAddress, why: whyIn(store) }) },
    {
      path: '/api/v1',
      router: storageRoutes(
        { maxUploadBytes, url: ownStorage(config) },
        storageDeps({ ...deps, store, logger, clientAddress, readers }),
      ),
    },
  ];
}

/** Tells requesters what this master does with their job: they see neither its queue nor its log. */
function whyIn({ jobs }: Pick<Store, 'jobs'>): (jobId: JobId) => Promise<JobWhy | undefined> {
  return async (jobId) => {
    const row = await jobs.find(jobId);
    return row && { state: row.state, reason: row.reason?.slice(0, 2000) };
  };
}
