import { join } from 'node:path';
import type { Command } from 'commander';
import type { BlobStore } from '../blobs/blob-store';
import type { Chain } from '../chain/client';
import type { Emeth } from '../chain/emeth';
import type { Wallet } from '../chain/wallet';
import type { MasterConfig } from '../config/schema';
import type { Address } from '../domain/ids';
import type { MasterChain, MasterStorage } from '../master/ports';
import { loadRole, openRoleLogger, stopSignal } from './context';
import { type CommonOptions, example } from './options';

/** Most payees the contract credits in one call. */
const MAX_PAYEES = 16;

export function registerMaster(program: Command): void {
  program
    .command('master')
    .description('coordinate: take jobs from the chain and have workers train them')
    .addHelpText(
      'after',
      example('emeth master', 'emeth master --config config/master.json --data-dir /var/lib/emeth/master'),
    )
    .action(runMaster);
}

async function runMaster(options: CommonOptions): Promise<void> {
  const context = await loadRole('master', options);
  const { config, dataDir } = context;
  const logger = await openRoleLogger('master', context, options);
  const signal = stopSignal();
  const { systemClock: clock } = await import('../lib/clock.js');
  const { openChain } = await import('../chain/client.js');
  const { openEmeth } = await import('../chain/emeth.js');
  const { openSender } = await import('../chain/sender.js');
  const { watchChain } = await import('../chain/watcher.js');
  const { openWallet, recoverTyped } = await import('../chain/wallet.js');
  const { BlobStore } = await import('../blobs/blob-store.js');
  const { listenAddress } = await import('../config/derived.js');
  const { ipGuard } = await import('../http/ip-guard.js');
  const { openHttp } = await import('../http/server.js');
  const { openLinkServer } = await import('../link/server.js');
  const { openMaster } = await import('../master/master.js');
  const { findPython } = await import('../runner/python.js');
  const { openTrainer } = await import('../runner/trainer.js');
  const { version } = await import('../lib/version.js');
  const { lockDataDir } = await import('../store/lock.js');
  const { keyOf } = await import('./keys.js');
  const { mountMaster } = await import('./master-routes.js');
  const { openMasterStore } = await import('./open-store.js');
  const { confirmationsOf, jobRules } = await import('./role-settings.js');

  await using _lock = await lockDataDir(dataDir);
  const python = await findPython(config.python);
  const { endpoint, chainId, emethContractAddress: core, tokenContractAddress: token } = config;
  await using chain = await openChain({ endpoint, chainId, core, token });
  const wallet = await openWallet(keyOf(config, dataDir), chain.chainId);
  await using store = await openMasterStore(config, dataDir);
  const blobs = new BlobStore(join(dataDir, 'blobs'));
  const sender = openSender({}, { chain, wallet, intents: store.intents, clock, logger, signal });
  await sender.resume();

  const master = openMaster(jobRules(config, dataDir), {
    store,
    blobs,
    wallet,
    clock,
    logger,
    signal,
    chain: await masterChain(chain, openEmeth(chain, sender)),
    storage: await masterStorage(config, blobs, wallet),
    openChild: async (spec) => openTrainer(spec, { python: python.path, logger }),
  });
  await using http = await openHttp(
    listenAddress(config),
    (app) => mountMaster(app, { config, chain, wallet, blobs, admin: master.admin, logger }),
    { logger },
  );
  await using _link = openLinkServer(
    { server: http.server, path: '/link', chainId: chain.chainId, version, heartbeatMs: config.heartbeatMs },
    {
      wallet,
      recoverTyped,
      blobs,
      isAllowedIp: ipGuard(config.worker_whitelist),
      isBlocked: (worker: Address) => store.workers.isBlocked(worker),
      handlers: master.link,
      logger,
      clock,
    },
  );
  logger.info('Master ready', { address: wallet.address, url: config.my_url, port: http.port, chainId: chain.chainId });
  const watching = watchChain(
    { confirmations: confirmationsOf(config, chain.chainId), pollMs: config.pollMs, fromBlock: config.fromBlock },
    { chain, loadCursor: master.loadCursor, onBatch: master.applyEvents, clock, logger },
    signal,
  );
  await Promise.all([master.run(), watching]);
  logger.info('Master stopped');
}

async function masterChain(chain: Chain, emeth: Emeth): Promise<MasterChain> {
  const { buildPayouts } = await import('../chain/payouts.js');
  return {
    chainId: chain.chainId,
    contract: chain.core,
    job: (jobId) => chain.job(jobId),
    process: async (jobId) => void (await emeth.process(jobId)),
    decline: async (jobId) => void (await emeth.decline(jobId)),
    submit: async (jobId, { resultHash, payoutRoot, fuelUsed, reference }) =>
      void (await emeth.submit({ jobId, resultHash, payoutRoot }, fuelUsed, reference)),
    unwind: async (jobId) => void (await emeth.unwind(jobId)),
    finalize: async (jobId) => void (await emeth.finalize(jobId)),
    async payWorkers(jobId, resultHash, shares) {
      if (shares.length <= MAX_PAYEES) await emeth.payWorkers(jobId, resultHash, shares);
    },
    payoutRoot: (shares) => buildPayouts(shares).root,
  };
}

async function masterStorage(config: MasterConfig, blobs: BlobStore, wallet: Wallet): Promise<MasterStorage> {
  const { datasetSize, fetchDataset } = await import('../blobs/dataset.js');
  const { RemoteBlobs } = await import('../blobs/remote-blobs.js');
  const { storageAddress } = await import('../config/derived.js');
  const { STORAGE_DOMAIN, uploadTypes } = await import('../protocol/storage.js');
  const storageApi = storageAddress(config);
  const options = { storageApi, maxBytes: config.maxDatasetBytes, allowFiles: config.allowFiles };
  return {
    size: (reference) => datasetSize(reference, blobs, options),
    fetch: (reference, signal) => fetchDataset(reference, blobs, options, { signal }),
    async publish(names, signal) {
      if (config.storageApi === undefined) return; // our own storage serves our own blobs
      const sign = (upload: object) => wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
      const storage = new RemoteBlobs(storageApi);
      for (const name of names) await storage.upload(name, blobs, wallet.address, sign, { signal });
    },
  };
}
