import type { BlobStore } from '../blobs/blob-store';
import type { Wallet } from '../chain/sending/wallet';
import type { Address, JobId } from '../domain/ids';
import type { RoundRules } from '../domain/round';
import type { Fleet } from '../fleet/fleet';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Mailbox } from '../lib/mailbox';
import type { Offer, WorkerMessage } from '../protocol/link';
import type { TrainedUpdate } from '../protocol/update';
import type { Store } from '../store/open';
import type { Coordinator } from './coordinator';
import type { JobPlan } from './plan';

/** What reaches a job's one loop. */
export type JobEvent =
  | { type: 'join'; worker: Address; held: Offer['held'] }
  | { type: 'away'; worker: Address }
  | { type: 'expelled'; worker: Address }
  | { type: 'message'; worker: Address; message: WorkerMessage }
  /** `commit`: which one of the lease's, counted from 1. */
  | { type: 'collected'; leaseId: string; commit: number; verdict: UpdateVerdict };

/** The gate's word on an update. */
export type UpdateVerdict =
  | { accepted: true; work: TrainedUpdate }
  | { accepted: false; reason: string; isFault: boolean };

export interface RoundSettings extends RoundRules {
  /** Least time any lease gets. */
  leaseMs: number;
}

/** What the terminal and the admin API show of a job while it trains. */
export interface LiveJob {
  startedAtMs: number;
  /** Blocks already merged then; not zero after a restart. */
  mergedAtStart: number;
  lastFoldMs: number;
  round: number;
  mergedBlocks: number;
  totalBlocks: number;
  loss?: number | undefined;
  validationLoss?: number | undefined;
}

/** Everything the steps of one job share. */
export interface JobContext {
  readonly jobId: JobId;
  readonly plan: JobPlan;
  /** The fee's part that goes to workers if all planned tokens are merged: what receipts promise. */
  readonly workerPoolWei: bigint;
  /** Where the Python child works: `<data-dir>/jobs/<id>`. */
  readonly dir: string;
  readonly settings: RoundSettings;
  readonly deadlineMs: number;
  readonly mailbox: Mailbox<JobEvent>;
  readonly members: Map<Address, 'opening' | 'ready'>;
  /** Workers that cannot do this job, or did it badly: they are not asked again. */
  readonly dismissed: Set<Address>;
  readonly coordinator: Coordinator;
  readonly live: LiveJob;
  readonly signal: AbortSignal;
  readonly deps: {
    store: Store;
    blobs: BlobStore;
    fleet: Fleet;
    wallet: Wallet;
    clock: Clock;
    logger: Logger;
  };
}
