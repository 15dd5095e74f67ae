/** The contract of a step: it works towards one move of its job's state, and says where to. */
import type { ActiveState, jobNext } from '../../domain/job';
import type { Clock } from '../../lib/clock';
import type { DiskFloor } from '../../lib/disk-floor';
import type { Logger } from '../../lib/logger';
import type { JobFacts, JobRow, StoredResult } from '../../store/jobs';
import type { Coordinator, CoordinatorDeps } from '../coordinator';
import type { EvidenceBook } from '../evidence';
import type { JobContext, RoundSettings } from '../job-context';
import type { PlannedModel } from '../plan';
import type { JobBlobs, JobFleet, JobStore, JobWallet, MasterChain, MasterStorage } from '../ports';

export interface JobRunOptions {
  dataDir: string;
  device: string;
  threads: number;
  batchSize: number;
  epochs: number;
  maxDatasetBytes: number;
  commissionBps: number;
  /** Jobs that pay less are not taken. */
  minFeeWei: bigint;
  /** Workers of a job: one, or as many as its deadline needs. */
  cooperative: '1v1' | 'nvm';
  settings: RoundSettings;
}

export interface JobRunDeps extends Pick<CoordinatorDeps, 'openChild'> {
  store: JobStore;
  blobs: JobBlobs;
  fleet: JobFleet;
  wallet: JobWallet;
  chain: MasterChain;
  storage: MasterStorage;
  /** The disk of the data directory: below its floor no job is taken. */
  disk: Pick<DiskFloor, 'require' | 'roomBytes'>;
  evidence: Pick<EvidenceBook, 'settle' | 'afterFold' | 'dropOuters' | 'thetaEvery'>;
  clock: Clock;
  logger: Logger;
  /** Aborts when the master stops. */
  signal: AbortSignal;
}

/** What a step sees of its job. Steps name the parts they use, so that a test need not make up the rest. */
export interface StepContext {
  readonly row: JobRow;
  readonly dir: string;
  readonly options: JobRunOptions;
  readonly deps: JobRunDeps;
  /** Aborts when the master stops or the chain ends the job. */
  readonly signal: AbortSignal;
  /** Returns the job's one Python child, which is started when it is first used. */
  openCoordinator(plan: PlannedModel): Pick<Coordinator, 'run' | 'adopt'>;
  /** Returns the job's training, opened once. */
  openContext(): Promise<JobContext>;
}

/** Where a step leaves its job, with what it found out. */
export interface StepResult<S extends ActiveState> {
  to: (typeof jobNext)[S][number];
  facts?: JobFacts | undefined;
}

/**
 * Does the work of one state. May be run again after a crash in the middle: it must find, not repeat, what is
 * done.
 */
export type Step<S extends ActiveState> = (job: StepContext) => Promise<StepResult<S>>;

/** Returns the result that an earlier step stored. */
export function resultOf({ id, result }: Pick<JobRow, 'id' | 'result'>): StoredResult {
  if (!result) throw new Error(`Job ${id} has no result to submit`);
  return result;
}
