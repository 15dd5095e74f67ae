/** The board daemon: its index of the chain's events, served over HTTP. */
import { join } from 'node:path';
import { BlobStore } from '../blobs/blob-store';
import { datasetSize } from '../blobs/dataset';
import { indexFinal, indexTentative } from '../board/indexer';
import { boardRoutes } from '../board/routes';
import { watchSizes } from '../board/sizes';
import { watchChain } from '../chain/reading/poll-loop';
import { clientBehind } from '../http/client-address';
import { healthMount, mountAll, readyMount } from '../http/mount';
import { openHttp } from '../http/server';
import { systemClock as clock } from '../lib/clock';
import { openStore } from '../store/open';
import { openChainRole } from './open-role';
import { placesOf } from './places';
import { Readiness } from './readiness';
import { storeOptions } from './role-settings';
import { type ServingOptions, servingOptions } from './serving';
import { openTagMemory } from './tag-memory';
import { untilAllEnd } from './until-all-end';

/** Runs a board until Ctrl-C: opens everything top to bottom, closes it in reverse. */
export async function runBoard(options: ServingOptions): Promise<void> {
  await using role = await openChainRole('board', options);
  const { config, dataDir, logger, lock, stop, signal, chain, finality } = role;
  await using store = await openStore(storeOptions(config, dataDir));
  await store.deployment.require(chain);
  const cursorId = `${chain.chainId}:${chain.core}:board`;
  const place = servingOptions(config, options);
  const readiness = new Readiness({ dataDir, store, clock, pollMs: config.pollMs });
  const routes = [
    healthMount({ chainId: chain.chainId }),
    readyMount(() => readiness.check()),
    { path: '/api/v1', router: boardRoutes({ store, cursorId, clientAddress: clientBehind(config.trustProxy) }) },
  ];
  await using http = await openHttp(place, (app) => mountAll(app, routes), { logger });
  logger.info('Board ready', { url: config.my_url, host: place.host, port: http.port, chainId: chain.chainId });

  const blobs = new BlobStore(join(dataDir, 'blobs'));
  const sizing = { ...placesOf(config), maxBytes: Number.MAX_SAFE_INTEGER, allowFiles: false };
  const watching = watchChain(
    { ...finality, memory: openTagMemory(store, chain.chainId), pollMs: config.pollMs, fromBlock: config.fromBlock },
    {
      chain,
      clock,
      logger,
      loadCursors: () => store.cursors.findPair(cursorId),
      onTentative: (batch) => indexTentative(store, cursorId, batch),
      onFinal: (events, cursor) =>
        store.transaction(async (tx) => {
          await indexFinal(tx, events, cursor);
          await tx.cursors.save(cursorId, cursor);
        }),
      onRead: () => readiness.noteChainRead(),
    },
    signal,
  );
  const sizes = watchSizes({ store, sizeOf: (name) => datasetSize(name, blobs, sizing), clock, logger }, signal);
  await untilAllEnd([watching, sizes, lock.keep(signal)], stop);
  logger.info('Board stopped');
}
