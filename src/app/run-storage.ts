/** The storage daemon: the storage API as a role of its own, for any number of masters and verifiers. */
import { watchChain } from '../chain/reading/poll-loop';
import { clientBehind } from '../http/client-address';
import { healthMount, mountAll, readyMount } from '../http/mount';
import { openHttp } from '../http/server';
import { systemClock as clock } from '../lib/clock';
import { storageRoutes } from '../storage/routes';
import { openStore } from '../store/open';
import { applyEvents } from './chain-follower';
import { openChainRole } from './open-role';
import { Readiness } from './readiness';
import { storeOptions } from './role-settings';
import { type ServingOptions, servingOptions } from './serving';
import { openStorageBlobs } from './storage-blobs';
import { storageDeps } from './storage-deps';
import { openRoleSpace } from './storage-space';
import { openTagMemory } from './tag-memory';
import { untilAllEnd } from './until-all-end';

/** Runs a storage until Ctrl-C: opens everything top to bottom, closes it in reverse. */
export async function runStorage(options: ServingOptions): Promise<void> {
  await using role = await openChainRole('storage', options);
  const { config, dataDir, logger, lock, stop, signal, chain, finality } = role;
  await using store = await openStore(storeOptions(config, dataDir));
  await store.deployment.require(chain);
  const cursorId = `${chain.chainId}:${chain.core}:storage`;
  await using opened = await openStorageBlobs(config, dataDir, logger);
  const { blobs, bucketPlace } = opened;
  const { maxUploadBytes, trustProxy } = config;
  const { space, keep } = await openRoleSpace({ config, dataDir, blobs, bucketPlace, store, chain, logger });
  const readiness = new Readiness({ dataDir, store, clock, pollMs: config.pollMs, minFreeBytes: config.minFreeBytes });
  const deps = storageDeps({ blobs, chain, space, store, logger, clientAddress: clientBehind(trustProxy) });
  const routes = [
    healthMount({ chainId: chain.chainId }),
    readyMount(() => readiness.check()),
    { path: '/api/v1', router: storageRoutes({ maxUploadBytes }, deps) },
  ];
  const place = servingOptions(config, options);
  await using http = await openHttp(place, (app) => mountAll(app, routes), { logger });
  logger.info('Storage ready', { url: config.my_url, host: place.host, port: http.port, chainId: chain.chainId });

  const watching = watchChain(
    { ...finality, memory: openTagMemory(store, chain.chainId), pollMs: config.pollMs, fromBlock: config.fromBlock },
    {
      chain,
      clock,
      logger,
      loadCursors: () => store.cursors.findPair(cursorId),
      onFinal: (events, cursor) =>
        store.transaction(async (tx) => {
          await applyEvents(tx, events);
          await tx.cursors.save(cursorId, cursor);
        }),
      onRead: () => readiness.noteChainRead(),
    },
    signal,
  );
  await untilAllEnd([watching, keep(signal), lock.keep(signal)], stop);
  logger.info('Storage stopped');
}
