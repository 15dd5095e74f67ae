/** The storage daemon: the storage API as a role of its own, for any number of masters and verifiers. */
import { watchChain } from '../chain/reading/poll-loop';
import { ownStorage } from '../config/derived';
import { clientBehind } from '../http/client-address';
import { ipGuard } from '../http/ip-guard';
import { metricsMount } from '../http/metrics';
import { healthMount, type Mount, mountAll, readyMount } from '../http/mount';
import { openHttp } from '../http/server';
import { openTraffic } from '../http/traffic';
import { systemClock as clock } from '../lib/clock';
import { collectAfterStart } from '../lib/lean-heap';
import type { Mirror } from '../storage/mirror';
import { storageRoutes } from '../storage/routes';
import { openStore, type Store } from '../store/open';
import { openBlobReader } from './blob-reader';
import { recordFinal } from './chain-follower';
import { mirrorFigures, readinessFigures, storedFigures } from './figures';
import { openMirror } from './mirror';
import { type ChainRole, openChainRole } from './open-role';
import { Readiness } from './readiness';
import { storeOptions } from './role-settings';
import { type ServingOptions, servingOptions } from './serving';
import { openStorageBlobs } from './storage-blobs';
import { type StorageParts, storageDeps } from './storage-deps';
import { openRoleSpace } from './storage-space';
import { openTagMemory } from './tag-memory';
import { untilAllEnd } from './until-all-end';

type StorageRole = ChainRole<'storage'>;

/** Runs a storage until Ctrl-C: opens everything top to bottom, closes it in reverse. */
export async function runStorage(options: ServingOptions): Promise<void> {
  await using role = await openChainRole('storage', options);
  const { config, dataDir, logger, lock, stop, signal, chain } = role;
  await using store = await openStore(storeOptions(config, dataDir));
  await store.deployment.require(chain);
  await using opened = await openStorageBlobs(config, dataDir, logger);
  const { blobs, bucketPlace, checkBucket } = opened;
  const { space, keep } = await openRoleSpace({ config, dataDir, blobs, bucketPlace, store, chain, logger });
  const mirror = openMirror({ config, blobs, space, store, chain, reader: await openBlobReader(role), logger });
  const { pollMs, minFreeBytes } = config;
  const readiness = new Readiness({ dataDir, store, clock, pollMs, minFreeBytes, checkBucket });
  const routes = routesOf(role, { blobs, chain, space, store, logger }, readiness, mirror);
  const place = servingOptions(config, options);
  await using http = await openHttp(place, (app) => mountAll(app, routes), { logger });
  logger.info('Storage ready', { url: config.my_url, host: place.host, port: http.port, chainId: chain.chainId });
  collectAfterStart();

  const watching = watch(role, store, readiness);
  const mirroring = config.peers.length > 0 ? [mirror.run(signal)] : [];
  await untilAllEnd([watching, keep(signal), ...mirroring, lock.keep(signal)], stop);
  logger.info('Storage stopped');
}

type RouteParts = Omit<StorageParts, 'clientAddress' | 'readers'> & { space: Parameters<typeof storedFigures>[0] };

function routesOf({ config, chain }: StorageRole, parts: RouteParts, readiness: Readiness, mirror: Mirror): Mount[] {
  const { maxUploadBytes, readers } = config;
  const clientAddress = clientBehind(config.trustProxy);
  const traffic = openTraffic();
  const check = () => readiness.check();
  const figures = [traffic.figures, readinessFigures(check), storedFigures(parts.space), mirrorFigures(mirror.totals)];
  return [
    traffic.mount,
    metricsMount(figures, { clientAddress, isAllowedIp: ipGuard(config.metrics_whitelist) }),
    healthMount({ chainId: chain.chainId }),
    readyMount(check),
    {
      path: '/api/v1',
      router: storageRoutes(
        { maxUploadBytes, url: ownStorage(config) },
        storageDeps({ ...parts, clientAddress, readers }),
      ),
    },
  ];
}

/** Follows the chain into this storage's own tables. */
function watch({ config, chain, finality, logger, signal }: StorageRole, store: Store, readiness: Readiness) {
  const cursorId = `${chain.chainId}:${chain.core}:storage`;
  return watchChain(
    { ...finality, memory: openTagMemory(store, chain.chainId), pollMs: config.pollMs, fromBlock: config.fromBlock },
    {
      chain,
      clock,
      logger,
      loadCursors: () => store.cursors.findPair(cursorId),
      onFinal: (events, cursor) =>
        store.transaction(async (tx) => {
          await recordFinal(tx, events, cursor);
          await tx.cursors.save(cursorId, cursor);
        }),
      onRead: () => readiness.noteChainRead(),
    },
    signal,
  );
}
