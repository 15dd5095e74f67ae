import type { Address, JobId, Sha256 } from '../domain/ids';
import type { ChainState } from '../domain/job';
import type { Share } from '../domain/shares';

/** The contract as a master uses it. Every call is idempotent: repeating one that was already mined changes nothing. */
export interface MasterChain {
  readonly chainId: number;
  readonly contract: Address;
  job(jobId: JobId): Promise<{ state: ChainState; node?: Address | undefined; deadlineMs: number }>;
  /** Takes the job, locking our deposit. Throws `chain/reverted` when somebody else was faster. */
  process(jobId: JobId): Promise<void>;
  decline(jobId: JobId): Promise<void>;
  submit(
    jobId: JobId,
    result: { resultHash: string; fuelUsed: bigint; payoutRoot: string; reference: string },
  ): Promise<void>;
  /** Settles a result nobody judged in its window. */
  finalize(jobId: JobId): Promise<void>;
  /** Ends a dispute nobody decided in its window. */
  unwind(jobId: JobId): Promise<void>;
  /** Credits the node and every worker, unless that has been done. */
  payWorkers(jobId: JobId, resultHash: string, shares: readonly Share[]): Promise<void>;
  payoutRoot(shares: readonly Share[]): string;
}

/** Data sets and results as a master uses them; `storageApi` may be its own or somebody else's. */
export interface MasterStorage {
  /** Bytes of a data set, without fetching it. Throws `dataset/…` when it cannot be had. */
  size(reference: string): Promise<number>;
  /** Brings a data set into our blob store, whole and checked. */
  fetch(reference: string, signal: AbortSignal): Promise<{ sha256: Sha256; bytes: number }>;
  /** Makes our blobs reachable for requesters and verifiers. */
  publish(blobs: readonly Sha256[], signal: AbortSignal): Promise<void>;
}
