import { availableParallelism } from 'node:os';
import type { Finality } from '../chain/rpc/finality';
import type { MasterConfig } from '../config/schema';
import { minesOnDemand } from '../domain/dev-chain';
import type { SchedulerOptions } from '../master/scheduler';

/**
 * When a block may be acted on. Unless the operator says so, it is the chain's own word, or two blocks on top where it has none; a
 * development chain mines only when something happens, and is not reorganised.
 */
export function finalityOf({ confirmations }: { confirmations?: number | undefined }, chainId: number): Finality {
  if (confirmations !== undefined) return { confirmations, preferTag: false };
  return minesOnDemand(chainId) ? { confirmations: 0, preferTag: false } : { confirmations: 2, preferTag: true };
}

/** CPU threads of a coordinating or verifying Python child: half the cores, so that local workers keep the others. */
export function threadsOf(config: { threads: number }): number {
  return config.threads || Math.max(1, Math.floor(availableParallelism() / 2));
}

/** The master's rules for jobs, from its configuration. */
export function jobRules(config: MasterConfig, dataDir: string): SchedulerOptions {
  return {
    dataDir,
    device: config.device,
    threads: threadsOf(config),
    batchSize: config.batchSize,
    epochs: config.n_epochs,
    maxDatasetBytes: config.maxDatasetBytes,
    commissionBps: Math.round(config.commission * 10_000),
    settings: config.round,
    minFeeWei: config.min_fee,
    maxFeeWei: config.max_fee,
    cooperative: config.cooperative,
    maxJobs: config.maxJobs,
  };
}
