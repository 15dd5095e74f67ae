/** The training of one job in memory: what its rounds share from the first lease to the last fold. */
import { earnedWei, fuelOf, workerPoolOf } from '../domain/fuel';
import type { Address, JobId } from '../domain/ids';
import type { RoundRules } from '../domain/round';
import type { Standing } from '../domain/standing';
import type { WorkTime } from '../domain/utilisation';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Mailbox } from '../lib/mailbox';
import type { JobRow } from '../store/jobs';
import { type AuditState, openAuditState } from './audit-state';
import type { Coordinator } from './coordinator';
import type { EvidenceBook } from './evidence';
import { type FoldCheckState, openFoldCheck } from './fold-check-state';
import { type GateMemory, openGateMemory } from './gate-memory';
import type { JobEvent } from './job-events';
import type { OwnChild } from './own-child';
import { JobPlan, type PlannedModel } from './plan';
import type { JobBlobs, JobFleet, JobWallet, RoundStore } from './ports';
import { openReach, type Reach } from './reach-state';
import type { RoundState } from './round-state';

export interface RoundSettings extends RoundRules {
  /** The least time that a lease gets. */
  leaseMs: number;
}

/** What terminal and admin API show of a job while it trains. */
export interface LiveJob {
  startedAtMs: number;
  /** Blocks already merged then; not zero after a restart. */
  mergedAtStart: number;
  lastFoldMs: number;
  round: number;
  mergedBlocks: number;
  totalBlocks: number;
  /** How every worker that was ever ready has spent its time. */
  readonly workTimes: Map<Address, WorkTime>;
  /** The part of its time that each had trained when every block was merged. */
  utilisation?: Record<Address, number> | undefined;
  loss?: number | undefined;
  validationLoss?: number | undefined;
}

/** Everything the rounds of one job share. */
export interface JobContext {
  readonly jobId: JobId;
  readonly plan: JobPlan;
  /** The part of the fee that workers get if all planned tokens are merged: what receipts promise. */
  readonly workerPoolWei: bigint;
  /** Where the Python child works: `<data-dir>/jobs/<id>`. */
  readonly dir: string;
  readonly settings: RoundSettings;
  readonly deadlineMs: number;
  readonly mailbox: Mailbox<JobEvent>;
  readonly members: Map<Address, 'opening' | 'ready'>;
  /** When each member was asked to get ready. */
  readonly openingSinceMs: Map<Address, number>;
  /** Of every worker that ever joined. */
  readonly standings: Map<Address, Standing>;
  /** Workers that cannot do this job, or did it badly, and why; they are not given it again. */
  readonly dismissed: Map<Address, string>;
  /** Rejected updates of each worker in this job. */
  readonly strikes: Map<Address, number>;
  readonly gate: GateMemory;
  readonly coordinator: Pick<Coordinator, 'run'>;
  /** Does leases again where no worker can. */
  readonly ownChild: Pick<OwnChild, 'use' | 'deviceKind' | 'isClosed'>;
  readonly audits: AuditState;
  readonly foldCheck: FoldCheckState;
  /** The round under way, which outlives trouble of this process. */
  openRound?: RoundState | undefined;
  readonly live: LiveJob;
  readonly reach: Reach;
  /** Called when a round is under way, or done: whatever was in the way is over. */
  readonly goOn: () => void;
  readonly signal: AbortSignal;
  readonly deps: {
    store: RoundStore;
    blobs: JobBlobs;
    fleet: JobFleet;
    wallet: JobWallet;
    evidence: Pick<EvidenceBook, 'afterFold' | 'dropOuters' | 'thetaEvery'>;
    clock: Clock;
    logger: Logger;
  };
}

interface Given extends Pick<JobContext, 'dir' | 'settings' | 'mailbox' | 'dismissed' | 'goOn' | 'signal' | 'deps'> {
  openCoordinator(plan: PlannedModel): JobContext['coordinator'];
  openOwnChild(jobId: JobId, plan: JobPlan): JobContext['ownChild'];
}
type Terms = Pick<JobRow, 'id' | 'feeWei' | 'fuelLimit' | 'deadlineMs' | 'plan'> & { commissionBps: number };

/** Opens the training of a prepared job where the store left it; a job without a ledger gets one. */
export async function openJobContext(
  terms: Terms,
  { openCoordinator, openOwnChild, ...given }: Given,
): Promise<JobContext> {
  const { id: jobId, feeWei, fuelLimit, deadlineMs, commissionBps } = terms;
  const { ledger, rounds } = given.deps.store;
  const plan = JobPlan.parse(terms.plan);
  await ledger.initialise(jobId, plan.totalBlocks);
  const mergedBlocks = await ledger.merged(jobId);
  const known = await rounds.list(jobId);
  const fuel = fuelOf(BigInt(plan.totalBlocks) * BigInt(plan.prepared.blockTokens), fuelLimit);
  const nowMs = given.deps.clock.now();
  return {
    ...given,
    jobId,
    plan,
    coordinator: openCoordinator(plan),
    ownChild: openOwnChild(jobId, plan),
    audits: openAuditState(),
    foldCheck: openFoldCheck(),
    deadlineMs,
    workerPoolWei: workerPoolOf(earnedWei(feeWei, fuel, fuelLimit), commissionBps),
    members: new Map(),
    openingSinceMs: new Map(),
    standings: new Map(),
    strikes: new Map(),
    gate: await openGateMemory(ledger, jobId),
    reach: openReach(nowMs, mergedBlocks),
    live: {
      startedAtMs: nowMs,
      lastFoldMs: nowMs,
      mergedAtStart: mergedBlocks,
      round: known.length,
      mergedBlocks,
      totalBlocks: plan.totalBlocks,
      workTimes: new Map(),
      validationLoss: known.findLast(({ isConfirmed }) => isConfirmed)?.validationLoss,
    },
  };
}
