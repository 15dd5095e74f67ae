import { join, resolve } from 'node:path';
import { BlobStore } from '../blobs/blob-store';
import { datasetSize } from '../blobs/dataset';
import { indexFinal, indexTentative } from '../board/indexer';
import { boardRoutes } from '../board/routes';
import { watchSizes } from '../board/sizes';
import { openChain } from '../chain/client';
import { watchChain } from '../chain/watcher';
import { openHttp } from '../http/server';
import { systemClock as clock } from '../lib/clock';
import { version } from '../lib/version';
import { lockDataDir } from '../store/lock';
import { openStore } from '../store/open';
import { loadRole, openRoleLogger, stopSignal } from './context';
import { storeOptions } from './open-store';
import type { CommonOptions } from './options';
import { finalityOf } from './role-settings';
import { untilAllEnd } from './until-all-end';

/** Runs a board until Ctrl-C: opens everything top to bottom, closes it in reverse. */
export async function runBoard(options: CommonOptions & { host: string; port: number }): Promise<void> {
  const dataDir = resolve(options.dataDir ?? join('data', 'board'));
  const context = await loadRole('client', { ...options, dataDir });
  const { config } = context;
  const logger = await openRoleLogger('client', context, options);
  const stop = new AbortController();
  const signal = AbortSignal.any([stopSignal(), stop.signal]);

  await using _lock = await lockDataDir(dataDir);
  const { endpoint, chainId, emethContractAddress: core, tokenContractAddress: token, storageApi } = config;
  await using chain = await openChain({ endpoint, chainId, core, token }, { logger });
  await using store = await openStore(storeOptions({}, dataDir));
  const cursorId = `${chain.chainId}:${chain.core}:board`;
  await using http = await openHttp(
    options,
    (app) => {
      app.get('/healthz', (_request, response) => {
        response.json({ status: 'ok', version, chainId: chain.chainId });
      });
      app.use('/api/v1', boardRoutes({ store, cursorId }));
    },
    { logger },
  );
  logger.info('Board ready', { url: `http://${options.host}:${http.port}/api/v1/jobs`, chainId: chain.chainId });

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
