import { join } from 'node:path';
import { BlobStore } from '../blobs/blob-store';
import { datasetSize } from '../blobs/dataset';
import { indexFinal, indexTentative } from '../board/indexer';
import { boardRoutes } from '../board/routes';
import { watchSizes } from '../board/sizes';
import { watchChain } from '../chain/reading/poll-loop';
import { openChain } from '../chain/rpc/client';
import { listenAddress } from '../config/derived';
import { healthMount, mountAll } from '../http/mount';
import { openHttp } from '../http/server';
import { systemClock as clock } from '../lib/clock';
import { lockDataDir } from '../store/lock';
import { openStore } from '../store/open';
import type { CommonOptions } from '../terminal/options';
import { loadRole, openRoleLogger, stopSignal } from './context';
import { storeOptions } from './open-store';
import { finalityOf } from './role-settings';
import { untilAllEnd } from './until-all-end';

/** Host and port stand before those of the configuration. */
interface BoardOptions extends CommonOptions {
  host?: string | undefined;
  port?: number | undefined;
}

/** Runs a board until Ctrl-C: opens everything top to bottom, closes it in reverse. */
export async function runBoard(options: BoardOptions): Promise<void> {
  const context = await loadRole('board', options);
  const { config, dataDir } = context;
  const logger = await openRoleLogger('board', context, options);
  const stop = new AbortController();
  const signal = AbortSignal.any([stopSignal(), stop.signal]);

  await using _lock = await lockDataDir(dataDir);
  const { endpoint, chainId, emethContractAddress: core, tokenContractAddress: token, storageApi } = config;
  await using chain = await openChain({ endpoint, chainId, core, token }, { logger });
  await using store = await openStore(storeOptions(config, dataDir));
  const cursorId = `${chain.chainId}:${chain.core}:board`;
  const listen = listenAddress(config);
  const host = options.host ?? listen.host;
  const routes = [
    healthMount({ chainId: chain.chainId }),
    { path: '/api/v1', router: boardRoutes({ store, cursorId }) },
  ];
  const place = { host, port: options.port ?? listen.port };
  await using http = await openHttp(place, (app) => mountAll(app, routes), { logger });
  logger.info('Board ready', { url: config.my_url, host, port: http.port, chainId: chain.chainId });

  const blobs = new BlobStore(join(dataDir, 'blobs'));
  const sizing = { storageApi: storageApi ?? '', maxBytes: Number.MAX_SAFE_INTEGER, allowFiles: false };
  const watching = watchChain(
    { ...finalityOf(config, chain.chainId), pollMs: config.pollMs, fromBlock: config.fromBlock },
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
    },
    signal,
  );
  const sizes = watchSizes({ store, sizeOf: (name) => datasetSize(name, blobs, sizing), clock, logger }, signal);
  await untilAllEnd([watching, sizes], stop);
  logger.info('Board stopped');
}
