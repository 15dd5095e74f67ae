/** The master daemon: joins queue, chain, fleet, storage and routes, and runs them until Ctrl-C. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseFileList } from '../blobs/base-dir';
import { BlobStore } from '../blobs/blob-store';
import { datasetSize } from '../blobs/dataset';
import type { BlobPlaces } from '../blobs/located-blobs';
import { indexTentative } from '../board/indexer';
import { watchSizes } from '../board/sizes';
import type { NodeActs, OverdueActs, PayActs } from '../chain/acts/emeth';
import { payAll } from '../chain/acts/pay';
import { buildPayouts } from '../chain/acts/payouts';
import { watchChain } from '../chain/reading/poll-loop';
import type { Chain } from '../chain/rpc/client';
import { recoverTyped } from '../chain/sending/wallet';
import { ownStorage, storageAddresses } from '../config/derived';
import type { MasterConfig } from '../config/roles/master';
import { sizeOfBase } from '../domain/base-size';
import { printBlobReference } from '../domain/blob-reference';
import type { Address } from '../domain/ids';
import { Fleet } from '../fleet/fleet';
import { clientBehind } from '../http/client-address';
import { ipGuard } from '../http/ip-guard';
import { mountAll } from '../http/mount';
import { openHttp } from '../http/server';
import { systemClock as clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import { version } from '../lib/version';
import { openLinkServer } from '../link/server';
import { findLeaseBlobs } from '../master/lease-blobs';
import { type Master, openMaster } from '../master/master';
import type { MasterChain, MasterStorage } from '../master/ports';
import { Measurer } from '../measure/measurer';
import type { TrainerSpec } from '../protocol/trainer';
import { openTrainers } from '../runner/trainers';
import type { StorageSpace } from '../storage/space';
import { BaseKeeper } from './base-keeper';
import { openBaseSizes } from './base-sizes';
import { recordFinal } from './chain-follower';
import { hubOf } from './hub-place';
import { fetchJobBase, type JobBaseDeps, openFetchedBase } from './job-base';
import { apartDir, fetchJobData, type JobDataDeps } from './job-data';
import { LINK_PATH, masterRoutes } from './master-routes';
import { takeOpenJobs } from './open-jobs';
import { type ChainRole, openSigningRole } from './open-role';
import { namedLocations, placesOf } from './places';
import { publish } from './publish';
import { Readiness } from './readiness';
import { jobRules, threadsOf } from './role-settings';
import { type ServingOptions, servingOptions } from './serving';
import type { Signer } from './signer';
import { noteFetched, openRoleSpace } from './storage-space';
import { storageAdmin } from './storage-use';
import { untilAllEnd } from './until-all-end';

type MasterRole = ChainRole<'master'> & Signer;

/** Runs a master until Ctrl-C: opens everything top to bottom, closes it in reverse. */
export async function runMaster(options: ServingOptions): Promise<void> {
  await using role = await openSigningRole('master', options);
  const { config, dataDir, logger, lock, stop, signal, chain, wallet, store, sender, emeth } = role;
  const trainers = await openTrainers({ ...config, dir: dataDir }, logger);
  const blobs = await openBlobs(dataDir);
  const own = wallet.address;
  const { floor, space, keep } = await openRoleSpace({ config, dataDir, blobs, store, chain, own, logger });

  const root = join(dataDir, 'bases');
  const held = { blobs, wallet, holders: store.blobHolders };
  const keeper = new BaseKeeper({ root, blobs, needs: store.storageNeeds, space, floor, own, clock, logger });
  const fleet = openFleet(role, blobs);
  const openChild = async (spec: TrainerSpec) => trainers.open(spec);
  const master = openMaster(jobRules(config, dataDir), {
    store,
    blobs,
    fleet,
    wallet,
    clock,
    logger,
    signal,
    chain: masterChain(config, chain, emeth),
    storage: masterStorage(config, { ...held, root, disk: floor, space, keeper, logger, signal }),
    disk: floor,
    record: recordFinal,
    openChild,
  });
  const measurer = new Measurer(
    { dataDir, device: config.device, threads: threadsOf(config), probes: config.probes },
    { fleet, blobs, clock, logger, signal, openChild, workers: store.workers, isBusy: master.isBusy },
  );
  const { cursorId } = master;
  const { pollMs, minFreeBytes, trustProxy } = config;
  const readiness = new Readiness({ dataDir, store, clock, pollMs, minFreeBytes, strayJobs: master.strayJobs });
  const admin = {
    ...master.admin,
    measure: async (worker: Address) => measurer.measure(worker),
    ...storageAdmin({ floor, space, evidenceBytes: master.evidenceBytes }, async () => ({
      ...(await master.admin.status()),
      checks: await readiness.check(),
    })),
  };
  const routes = masterRoutes({ config, chain, wallet, blobs, space, store, cursorId, admin, readiness, logger });
  await using http = await openHttp(servingOptions(config, options), (app) => mountAll(app, routes), { logger });
  await using _link = openLinkServer(
    { server: http.server, path: LINK_PATH, chainId: chain.chainId, version, heartbeatMs: config.heartbeatMs },
    {
      wallet,
      recoverTyped,
      blobs,
      clientAddress: clientBehind(trustProxy),
      isAllowedIp: ipGuard(config.worker_whitelist),
      isBlocked: (worker: Address) => store.workers.isBlocked(worker),
      mayPull: (worker, sha256) => fleet.mayPull(worker, sha256),
      handlers: fleet,
      logger,
      clock,
    },
  );
  logger.info('Master ready', { address: wallet.address, url: config.my_url, port: http.port, chainId: chain.chainId });
  void warnUnlessActive(role);
  const isFresh = (await master.loadCursors()).final === undefined;
  if (config.board_url && isFresh) await takeOpenJobs(config.board_url, { chain, store, logger, signal });
  const watching = watchEvents(role, master, readiness);
  const sizes = watchDatasets(role, blobs);
  await untilAllEnd(
    [master.run(), measurer.run(), watching, sizes, keep(signal), keeper.run(signal), sender.keep(), lock.keep(signal)],
    stop,
  );
  logger.info('Master stopped');
}

/** Opens the blobs, and removes what a killed process was fetching beside them. */
async function openBlobs(dataDir: string): Promise<BlobStore> {
  const blobs = new BlobStore(join(dataDir, 'blobs'));
  await rm(apartDir(blobs), { recursive: true, force: true });
  return blobs;
}

/** Follows the chain: what is not final yet only shows on the board. */
function watchEvents(
  { config, finality, chain, store, logger, signal }: MasterRole,
  master: Pick<Master, 'cursorId' | 'loadCursors' | 'applyEvents'>,
  readiness: Readiness,
): Promise<void> {
  return watchChain(
    { ...finality, pollMs: config.pollMs, fromBlock: config.fromBlock },
    {
      chain,
      clock,
      logger,
      loadCursors: master.loadCursors,
      onTentative: (batch) => indexTentative(store, master.cursorId, batch),
      onFinal: master.applyEvents,
      onRead: () => readiness.noteChainRead(),
    },
    signal,
  );
}

/** Asks for the sizes of the board's data sets. */
function watchDatasets({ config, store, logger, signal }: MasterRole, blobs: BlobStore): Promise<void> {
  const sizing = { ...masterPlaces(config), maxBytes: config.maxDatasetBytes, allowFiles: false };
  return watchSizes({ store, sizeOf: (name) => datasetSize(name, blobs, sizing), clock, logger }, signal);
}

function openFleet({ logger, store }: MasterRole, blobs: BlobStore): Fleet {
  const { measurements } = store;
  return new Fleet({
    logger,
    measurements,
    leaseBlobs: (worker, held) => findLeaseBlobs(store, worker, held),
    baseFiles: async (list) => {
      const { files } = parseFileList(list, await readFile(blobs.path(list), 'utf8'));
      return files.map(({ sha256 }) => sha256);
    },
  });
}

/** Tells an operator who forgot to register. Nothing waits for it: the chain may not answer now. */
async function warnUnlessActive({ chain, wallet, logger, signal }: MasterRole): Promise<void> {
  const { address } = wallet;
  try {
    if (await chain.isActive(address)) return;
    logger.warn('This account is not an active node and cannot take jobs; run emeth register-node', { address });
  } catch (error) {
    if (!signal.aborted) logger.warn('The chain did not say whether this account may take jobs', { address }, error);
  }
}

function masterChain(config: MasterConfig, chain: Chain, emeth: NodeActs & OverdueActs & PayActs): MasterChain {
  const locations = namedLocations(config, [...storageAddresses(config), ownStorage(config)]);
  return {
    chainId: chain.chainId,
    contract: chain.core,
    job: (jobId) => chain.job(jobId),
    minWorkMs: async () => (await chain.requestRules()).minWorkMs,
    process: async (jobId) => void (await emeth.process(jobId)),
    decline: async (jobId) => void (await emeth.decline(jobId)),
    submit: async (jobId, { resultHash, payoutRoot, fuelUsed }) => {
      const reference = printBlobReference(resultHash.slice(2), locations);
      await emeth.submit({ jobId, resultHash, payoutRoot }, fuelUsed, reference);
    },
    unwind: async (jobId) => void (await emeth.unwind(jobId)),
    finalize: async (jobId) => void (await emeth.finalize(jobId)),
    payWorkers: (jobId, resultHash, shares) => payAll(chain, emeth, { jobId, resultHash, shares }),
    payoutRoot: (shares) => buildPayouts(shares).root,
  };
}

/** A master reads from its own storage where it has no other. */
function masterPlaces(config: MasterConfig): BlobPlaces {
  return placesOf({ ...config, storageApi: storageAddresses(config) });
}

interface MasterStorageParts extends Omit<JobDataDeps, 'options'>, Pick<JobBaseDeps, 'root' | 'disk'> {
  space: StorageSpace;
  keeper: Pick<BaseKeeper, 'makeRoom'>;
  logger: Logger;
  /** Aborts when the master stops. */
  signal: AbortSignal;
}

function masterStorage(config: MasterConfig, { space, keeper, signal, ...deps }: MasterStorageParts): MasterStorage {
  const places = masterPlaces(config);
  const data = { ...places, maxBytes: config.maxDatasetBytes, allowFiles: config.allowFiles };
  const bases = { ...places, maxBytes: config.maxBaseBytes, hub: hubOf(config) };
  const makeRoom = (bytes: number) => keeper.makeRoom(bytes);
  return {
    size: (reference) => datasetSize(reference, deps.blobs, data),
    fetch: async (job, signal) => noteFetched(await fetchJobData(job, { ...deps, options: data }, signal), deps, space),
    sizeBase: openBaseSizes({ options: bases, dir: apartDir(deps.blobs), wallet: deps.wallet, signal }),
    async fetchBase(job, params, signal) {
      const { facts, blobs, ...base } = await fetchJobBase(
        job,
        params.base,
        { ...deps, options: bases, makeRoom },
        signal,
      );
      for (const blob of blobs) await noteFetched(blob, deps, space);
      return { reference: params.base, ...base, size: sizeOfBase(facts, params) };
    },
    openBase: ({ list }) => openFetchedBase(list, deps),
    async publish(names, signal) {
      if (config.storageApi === undefined) return; // This master's own storage serves its blobs already.
      await publish(names, config.storageApi, deps, signal);
    },
  };
}
