import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { earnedWei, fuelOf, workerPoolOf } from '../domain/fuel';
import type { Address, JobId } from '../domain/ids';
import { type ActiveState, type ChainState, isActive, isTerminal, type JobState } from '../domain/job';
import type { AssignmentEvents, JobAssignment } from '../fleet/assignment';
import { AppError, describeError, errorCode } from '../lib/errors';
import { Mailbox } from '../lib/mailbox';
import type { Offer, WorkerMessage } from '../protocol/link';
import type { JobRow } from '../store/jobs';
import { Coordinator, type CoordinatorDeps, isJobFault } from './coordinator';
import type { JobContext, JobEvent, LiveJob, RoundSettings } from './job-context';
import { JobPlan } from './plan';
import type { MasterChain, MasterStorage } from './ports';
import { prepareJob, resolveParams } from './preparation';
import { produceResult } from './result';
import { trainJob } from './training';

export interface JobRunOptions {
  dataDir: string;
  device: string;
  threads: number;
  batchSize: number;
  epochs: number;
  maxDatasetBytes: number;
  commissionBps: number;
  settings: RoundSettings;
}

export type JobRunDeps = JobContext['deps'] &
  Pick<CoordinatorDeps, 'openChild'> & { chain: MasterChain; storage: MasterStorage; signal: AbortSignal };

/** Thrown into a run whose job the chain has ended, or given to somebody else. */
export type JobRunError = { code: 'job/ended-on-chain'; chainState: ChainState };

const RETRY_MS = 5000;
const MAX_ATTEMPTS = 5;
const VERDICT_POLL_MS = 2000;

/**
 * One job from claim to pay, as this master's part of `domain/job.ts`. Each step leaves its result in the store before the state
 * moves on, so a restarted master begins again with the step it was in.
 */
export class JobRun implements AssignmentEvents {
  readonly jobId: JobId;
  readonly assignment: JobAssignment;
  readonly mailbox: Mailbox<JobEvent>;
  /** Workers that are not to be given this job. */
  readonly dismissed = new Set<Address>();
  readonly dir: string;
  private readonly aborter = new AbortController();
  private readonly signal: AbortSignal;
  private context: JobContext | undefined;
  private coordinator: Coordinator | undefined;
  private attempts = 0;

  constructor(
    private row: JobRow,
    private readonly options: JobRunOptions,
    private readonly deps: JobRunDeps,
  ) {
    this.jobId = row.id;
    this.assignment = { kind: 'job', jobId: row.id, events: this };
    this.mailbox = new Mailbox(deps.clock);
    this.dir = join(options.dataDir, 'jobs', row.id);
    this.signal = AbortSignal.any([deps.signal, this.aborter.signal]);
  }

  onJoin(worker: Address, held: Offer['held']): void {
    this.mailbox.push({ type: 'join', worker, held });
  }
  onMessage(worker: Address, message: WorkerMessage): void {
    if (message.type !== 'lease.progress') this.mailbox.push({ type: 'message', worker, message });
  }
  onAway(worker: Address): void {
    this.mailbox.push({ type: 'away', worker });
  }
  onExpelled(worker: Address): void {
    this.mailbox.push({ type: 'expelled', worker });
  }

  /** True while the job can use workers. */
  get wantsWorkers(): boolean {
    return this.row.state === 'training';
  }
  get state(): JobState {
    return this.row.state;
  }
  get deadlineMs(): number {
    return this.row.deadlineMs;
  }
  get live(): LiveJob | undefined {
    return this.context?.live;
  }
  get plan(): JobPlan | undefined {
    return this.context?.plan;
  }

  /** The chain moved the job; a state that ends our work stops the run. */
  onChainState(state: ChainState, node: Address | undefined): void {
    const lost = state === 'PROCESSING' && node !== undefined && node !== this.deps.wallet.address;
    const givenBack = state === 'REQUESTED' && !['claimed', 'preparing'].includes(this.row.state);
    if ((isTerminal(state) && state !== 'VERIFIED') || lost || givenBack) {
      this.aborter.abort(
        new AppError<JobRunError>({ code: 'job/ended-on-chain', chainState: state }, `The chain says ${state}`),
      );
    }
  }

  /** Runs the job to an end of ours, or until the master stops. */
  async run(): Promise<void> {
    try {
      while (isActive(this.row.state)) await this.attemptStep(this.row.state);
    } finally {
      await this.coordinator?.[Symbol.asyncDispose]();
      // When the master itself stops, the workers keep what they hold and come back with it.
      if (!this.deps.signal.aborted) this.deps.fleet.release(this.assignment, `the job is ${this.row.state}`);
    }
    if (!isActive(this.row.state)) await this.cleanUp();
  }

  private async attemptStep(state: ActiveState): Promise<void> {
    try {
      await this.steps[state]();
      this.attempts = 0;
    } catch (error) {
      if (this.deps.signal.aborted) throw this.deps.signal.reason;
      await this.onStepFailed(state, error);
    }
  }

  private readonly steps: Record<ActiveState, () => Promise<void>> = {
    claimed: () => this.prepare(),
    preparing: () => this.take(),
    training: () => this.train(),
    exporting: () => this.finish(),
    submitting: () => this.submit(),
    submitted: () => this.settle(),
    declining: () => this.decline(),
  };

  private async prepare(): Promise<void> {
    const { storage, blobs } = this.deps;
    const { batchSize: batch, epochs, maxDatasetBytes: maxBytes } = this.options;
    const params = resolveParams(this.row.params, { batch, epochs });
    const fetched = await storage.fetch(this.row.dataset, this.signal);
    const dataset = { reference: this.row.dataset, ...fetched };
    const coordinator = this.openCoordinator(params);
    const plan = await prepareJob({ coordinator, blobs, dir: this.dir, params, dataset, maxBytes });
    await this.move('preparing', { plan });
  }

  private async take(): Promise<void> {
    const { state, node } = await this.deps.chain.job(this.jobId);
    if (!(state === 'PROCESSING' && node === this.deps.wallet.address)) await this.deps.chain.process(this.jobId);
    await this.move('training');
  }

  private async train(): Promise<void> {
    const job = await this.openContext();
    await trainJob(job);
    await this.move('exporting');
  }

  private async finish(): Promise<void> {
    const job = await this.openContext();
    const { chain, storage } = this.deps;
    const result = await produceResult(job, {
      chainId: chain.chainId,
      contract: chain.contract,
      feeWei: this.row.feeWei,
      fuelLimit: this.row.fuelLimit,
      commissionBps: this.options.commissionBps,
      payoutRoot: (shares) => chain.payoutRoot(shares),
    });
    await storage.publish(result.blobs, this.signal);
    await this.move('submitting', { result });
  }

  private async submit(): Promise<void> {
    const { manifest, fuelUsed, payoutRoot } = this.requireResult();
    const { state } = await this.deps.chain.job(this.jobId);
    if (state === 'PROCESSING') {
      const resultHash = `0x${manifest}`;
      await this.deps.chain.submit(this.jobId, { resultHash, fuelUsed, payoutRoot, reference: `sha256:${manifest}` });
    }
    await this.move('submitted');
  }

  /** Waits for the verdict; when the window has passed without one, asks the contract to settle. Then pays. */
  private async settle(): Promise<void> {
    const { chain, clock, logger } = this.deps;
    for (;;) {
      const { state, deadlineMs } = await chain.job(this.jobId);
      if (state === 'VERIFIED') break;
      if (isTerminal(state)) throw endedOnChain(state);
      if (clock.now() > deadlineMs + VERDICT_POLL_MS) {
        if (state === 'SUBMITTED') await chain.finalize(this.jobId);
        if (state === 'DISPUTED') await chain.unwind(this.jobId);
      }
      await clock.sleep(VERDICT_POLL_MS, this.signal);
    }
    const { manifest, shares } = this.requireResult();
    await chain.payWorkers(this.jobId, `0x${manifest}`, shares);
    logger.info('Job verified and paid', { jobId: this.jobId });
    await this.move('verified');
  }

  private async decline(): Promise<void> {
    const { state, node } = await this.deps.chain.job(this.jobId);
    if (state === 'PROCESSING' && node === this.deps.wallet.address) await this.deps.chain.decline(this.jobId);
    await this.move('declined');
  }

  /**
   * What becomes of a step that threw. The requester's fault, a deadline too near or too many attempts: the job is left, or
   * given back on chain. The chain's word: it is over. Anything else is ours and is tried again.
   */
  private async onStepFailed(state: ActiveState, error: unknown): Promise<void> {
    const reason = describeError(error);
    const { logger, clock } = this.deps;
    if (errorCode(error) === 'job/ended-on-chain') return this.move('failed', {}, reason);
    this.attempts += 1;
    const hopeless = isJobFault(error) || errorCode(error) === 'job/deadline-near' || this.attempts >= MAX_ATTEMPTS;
    logger.warn('Step failed', { jobId: this.jobId, state, attempt: this.attempts, hopeless }, error);
    if (hopeless && (state === 'claimed' || state === 'preparing')) return this.move('skipped', {}, reason);
    if (hopeless && (state === 'training' || state === 'exporting')) return this.move('declining', {}, reason);
    await clock.sleep(RETRY_MS, this.deps.signal);
  }

  private async move(
    to: JobState,
    facts: Parameters<JobContext['deps']['store']['jobs']['move']>[3] = {},
    reason?: string,
  ) {
    const { jobs } = this.deps.store;
    const from = this.row.state;
    const moved = await jobs.move(this.jobId, from, to, { ...facts, ...(reason ? { reason } : {}) });
    const row = await jobs.find(this.jobId);
    if (!row) throw new Error(`Job ${this.jobId} vanished from the store`);
    this.row = row;
    if (moved) this.deps.logger.info('Job moved', { jobId: this.jobId, from, to, reason });
  }

  private openCoordinator(params: JobPlan['params']): Coordinator {
    const { device, threads } = this.options;
    const options = { jobId: this.jobId, params, workDir: this.dir, device, threads };
    this.coordinator ??= new Coordinator(options, this.deps);
    return this.coordinator;
  }

  private async openContext(): Promise<JobContext> {
    if (this.context) return this.context;
    const { store } = this.deps;
    const plan = JobPlan.parse(this.row.plan);
    const rounds = await store.rounds.list(this.jobId);
    await store.ledger.initialise(this.jobId, plan.totalBlocks);
    const left = plan.totalBlocks - (await store.ledger.merged(this.jobId));
    const fuel = fuelOf(BigInt(plan.totalBlocks) * BigInt(plan.prepared.blockTokens), this.row.fuelLimit);
    const paid = earnedWei(this.row.feeWei, fuel, this.row.fuelLimit);
    this.context = {
      jobId: this.jobId,
      plan,
      workerPoolWei: workerPoolOf(paid, this.options.commissionBps),
      dir: this.dir,
      settings: this.options.settings,
      deadlineMs: this.row.deadlineMs,
      mailbox: this.mailbox,
      members: new Map(),
      dismissed: this.dismissed,
      coordinator: this.openCoordinator(plan.params),
      live: {
        startedAtMs: this.deps.clock.now(),
        lastFoldMs: this.deps.clock.now(),
        mergedAtStart: plan.totalBlocks - left,
        round: rounds.length,
        mergedBlocks: plan.totalBlocks - left,
        totalBlocks: plan.totalBlocks,
      },
      signal: this.signal,
      deps: this.deps,
    };
    return this.context;
  }

  private requireResult() {
    if (!this.row.result) throw new Error(`Job ${this.jobId} has no result to submit`);
    return this.row.result;
  }

  /** Leaves the model and its manifest; the evidence of a finished job is needed no more. */
  private async cleanUp(): Promise<void> {
    const { store, blobs, logger } = this.deps;
    const kept = new Set(this.row.result?.blobs);
    const evidence = (await store.rounds.evidence(this.jobId)).filter((sha256) => !kept.has(sha256));
    for (const sha256 of evidence) await blobs.remove(sha256);
    await rm(this.dir, { recursive: true, force: true });
    logger.info('Job files removed', { jobId: this.jobId, blobs: evidence.length });
  }
}

function endedOnChain(chainState: ChainState): AppError<JobRunError> {
  return new AppError({ code: 'job/ended-on-chain', chainState }, `The chain says ${chainState}`);
}
