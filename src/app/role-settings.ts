/** Translates a role's settings into the options of what is opened with them. */
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import type { ChainOptions } from '../chain/rpc/client';
import type { Finality } from '../chain/rpc/finality';
import type { ClientConfig } from '../config/roles/client';
import type { MasterConfig } from '../config/roles/master';
import { minesOnDemand } from '../domain/dev-chain';
import type { SchedulerOptions } from '../master/scheduler';
import type { StoreOptions } from '../store/open';

/**
 * Returns when a chain block may be acted on: after the configured confirmations, else when the chain itself
 * calls it final, or after two confirmations on a chain that does not say. A development chain mines only
 * when a transaction comes and is never reorganised, so it needs none.
 */
export function finalityOf({ confirmations }: { confirmations?: number | undefined }, chainId: number): Finality {
  if (confirmations !== undefined) return { confirmations, preferTag: false };
  return minesOnDemand(chainId) ? { confirmations: 0, preferTag: false } : { confirmations: 2, preferTag: true };
}

/**
 * CPU threads of a coordinating or verifying Python child: by default half the cores; local workers keep the
 * rest.
 */
export function threadsOf(config: { threads: number }): number {
  return config.threads || Math.max(1, Math.floor(availableParallelism() / 2));
}

type ChainSettings = Pick<ClientConfig, 'endpoint' | 'chainId' | 'emethContractAddress' | 'tokenContractAddress'>;

/** Returns the chain and the contracts that a role works with. */
export function chainOptions(config: ChainSettings): ChainOptions {
  const { endpoint, chainId, emethContractAddress: core, tokenContractAddress: token } = config;
  return { endpoint, chainId, core, token };
}

/** Returns where a role keeps its store: `external_db`, or a SQLite file in its data directory. */
export function storeOptions(config: Pick<MasterConfig, 'external_db'>, dataDir: string): StoreOptions {
  if (config.external_db) return { kind: 'mysql', ...config.external_db };
  return { kind: 'sqlite', path: join(dataDir, 'queue.sqlite') };
}

/** Returns the master's rules for jobs. */
export function jobRules(config: MasterConfig, dataDir: string): SchedulerOptions {
  return {
    dataDir,
    device: config.device,
    threads: threadsOf(config),
    batchSize: config.batchSize,
    epochs: config.n_epochs,
    maxDatasetBytes: config.maxDatasetBytes,
    evidenceBytes: config.evidenceBytes,
    commissionBps: Math.round(config.commission * 10_000),
    settings: config.round,
    minFeeWei: config.min_fee,
    maxFeeWei: config.max_fee,
    cooperative: config.cooperative,
    maxJobs: config.maxJobs,
    memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
  };
}
