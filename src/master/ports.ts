/** Everything outside `master/` that its jobs use, narrowed to the methods they call. */
import type { BaseDirectory } from '../blobs/base-dir';
import type { BlobStore } from '../blobs/blob-store';
import type { Wallet } from '../chain/sending/wallet';
import type { Address, JobId, Sha256 } from '../domain/ids';
import type { ChainState } from '../domain/job';
import type { BaseSize } from '../domain/model-size';
import type { Share } from '../domain/shares';
import type { Fleet } from '../fleet/fleet';
import type { Peer } from '../link/gate';
import type { BaseRecord } from '../protocol/base';
import type { TunedParams } from '../protocol/job-params';
import type { Audits } from '../store/audits';
import type { Claims } from '../store/claims';
import type { JobRow, Jobs } from '../store/jobs';
import type { Ledger } from '../store/ledger';
import type { Rounds } from '../store/rounds';
import type { Workers } from '../store/workers';

/**
 * The contract as a master uses it. Every call is idempotent: repeating one that was already mined changes
 * nothing.
 */
export interface MasterChain {
  readonly chainId: number;
  readonly contract: Address;
  job(jobId: JobId): Promise<{ state: ChainState; node?: Address | undefined; deadlineMs: number }>;
  /** Returns how long before its deadline a job must be given back for another node to have it. */
  minWorkMs(): Promise<number>;
  /** Takes the job, locking this node's deposit. Throws `chain/reverted` when another node was faster. */
  process(jobId: JobId): Promise<void>;
  decline(jobId: JobId): Promise<void>;
  submit(jobId: JobId, result: { resultHash: string; fuelUsed: bigint; payoutRoot: string }): Promise<void>;
  /** Settles a result that got no verdict in its window. */
  finalize(jobId: JobId): Promise<void>;
  /** Ends a dispute that was not decided in its window. */
  unwind(jobId: JobId): Promise<void>;
  /** Credits the node and every worker, unless that has been done. */
  payWorkers(jobId: JobId, resultHash: string, shares: readonly Share[]): Promise<void>;
  payoutRoot(shares: readonly Share[]): string;
}

/** Data sets and results as a master uses them; `storageApi` may be its own or another server's. */
export interface MasterStorage {
  /** Returns the bytes of a data set, without fetching it. Throws `dataset/…` when it cannot be had. */
  size(reference: string): Promise<number>;
  /** Brings a job's data set into the blob store, whole and checked, if its requester has it. */
  fetch(
    job: Pick<JobRow, 'id' | 'requester' | 'dataset'>,
    signal: AbortSignal,
  ): Promise<{ sha256: Sha256; bytes: number }>;
  /** Says how large the base of a job is, without fetching it. Throws `base/…`, also after some seconds. */
  sizeBase(job: Pick<JobRow, 'id' | 'requester'>, params: TunedParams): Promise<BaseSize & { vocabSize: number }>;
  /** Brings the base of a job here, whole and checked, if its requester may have it. Throws `base/…`. */
  fetchBase(job: Pick<JobRow, 'id' | 'requester'>, params: TunedParams, signal: AbortSignal): Promise<BaseRecord>;
  /** Returns the directory of a base that was fetched. */
  openBase(base: Pick<BaseRecord, 'list'>): Promise<BaseDirectory>;
  /** Makes blobs reachable for requesters and verifiers. */
  publish(blobs: readonly Sha256[], signal: AbortSignal): Promise<void>;
}

/** The tables a job's rounds are kept in. */
export interface RoundStore {
  readonly ledger: Pick<
    Ledger,
    'initialise' | 'available' | 'merged' | 'grant' | 'setShard' | 'commit' | 'release' | 'listLeases'
  >;
  readonly rounds: Pick<
    Rounds,
    'clear' | 'keepConfirmed' | 'open' | 'find' | 'latest' | 'list' | 'fold' | 'refold' | 'confirm' | 'evidence'
  >;
  readonly audits: Pick<Audits, 'record' | 'list' | 'drawn' | 'merged' | 'lastOrdinal'>;
  readonly workers: Pick<Workers, 'addStrike' | 'findRecord' | 'addAccepted' | 'forgetSpeed'>;
}

/** The tables of one job's run: its rounds, and its row of the queue. */
export interface JobStore extends RoundStore {
  readonly jobs: Pick<Jobs, 'find' | 'move'>;
}

/** The tables of all jobs: what a run needs, and the choice of the next one. */
export interface QueueStore extends JobStore {
  readonly claims: Pick<Claims, 'hold'>;
  readonly jobs: Pick<Jobs, 'find' | 'move' | 'list' | 'listOpen' | 'listOrphans' | 'claim' | 'skip' | 'lookAtAll'>;
}

export type JobBlobs = Pick<BlobStore, 'path' | 'stat' | 'add' | 'addBytes' | 'remove'>;

export type JobWallet = Pick<Wallet, 'address' | 'signTyped'>;

/** The workers of one job. */
export interface JobFleet
  extends Pick<Fleet, 'send' | 'view' | 'idle' | 'capacityOf' | 'recordMeasurement' | 'dismiss' | 'release'> {
  peer(worker: Address): Pick<Peer, 'pull' | 'traffic' | 'offer' | 'ip'> | undefined;
}

/** All workers: what a run needs, and the sharing out of idle ones. */
export type QueueFleet = JobFleet & Pick<Fleet, 'assign'>;
