/** One job from claim to pay: runs the step of its state, stores the outcome, and deals with failures. */
import type { Address, JobId } from '../domain/ids';
import { type ActiveState, type ChainState, isActive, isTerminal, type JobState } from '../domain/job';
import type { JobAssignment } from '../fleet/assignment';
import { describeError, errorCode } from '../lib/errors';
import { Mailbox } from '../lib/mailbox';
import type { JobFacts, JobRow } from '../store/jobs';
import { type ChainStanding, endsWork, isTakenBy } from './chain-standing';
import { Coordinator } from './coordinator';
import { type JobContext, type LiveJob, openJobContext } from './job-context';
import { type JobEvent, passEvents } from './job-events';
import { jobDir } from './job-files';
import { OwnChild } from './own-child';
import type { JobPlan } from './plan';
import { decideFailure, endedOnChain } from './step-failure';
import { giveBackJob } from './steps/decline';
import { finishJob } from './steps/finish';
import { prepareJob } from './steps/prepare';
import { settleJob } from './steps/settle';
import type { JobRunDeps, JobRunOptions, Step, StepContext } from './steps/step';
import { submitJob } from './steps/submit';
import { takeJob } from './steps/take';
import { trainJob } from './steps/train';

const RETRY_MS = 5000;
/** Sequences that the own child computes at once: few, as the master's memory is not bought for training. */
const OWN_MICRO_BATCH = 4;
/** How many answers in a row must say that a job is lost where no final event does: an endpoint may lag. */
const AGREEING_ANSWERS = 5;

const steps: { [S in ActiveState]: Step<S> } = {
  claimed: prepareJob,
  preparing: takeJob,
  training: trainJob,
  exporting: finishJob,
  submitting: submitJob,
  submitted: settleJob,
  declining: giveBackJob,
};

/**
 * A job that this master has claimed. Each step leaves its result in the store before the state moves on, so
 * a restarted master begins again with the step it was in.
 */
export class JobRun {
  readonly jobId: JobId;
  /** What the fleet's workers are assigned to while they work on this job. */
  readonly assignment: JobAssignment;
  /** Workers that are not to be given this job. */
  readonly dismissed = new Set<Address>();
  private readonly mailbox: Mailbox<JobEvent>;
  private readonly dir: string;
  private readonly aborter = new AbortController();
  private readonly signal: AbortSignal;
  private context: JobContext | undefined;
  private coordinator: Coordinator | undefined;
  private ownChild: OwnChild | undefined;
  private attempts = 0;

  constructor(
    private row: JobRow,
    private readonly options: JobRunOptions,
    private readonly deps: JobRunDeps,
  ) {
    this.jobId = row.id;
    this.mailbox = new Mailbox(deps.clock);
    const events = passEvents((event) => this.mailbox.push(event), deps.clock);
    this.assignment = { kind: 'job', jobId: row.id, events };
    this.dir = jobDir(options.dataDir, row.id);
    this.signal = AbortSignal.any([deps.signal, this.aborter.signal]);
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

  /**
   * Follows a final move of the job on chain; one that ends this master's part in it stops the run. Moves
   * become final some time after they happened: unless the move is the job's last, the chain is asked how
   * things are now.
   */
  onChainState(state: ChainState, node: Address | undefined): void {
    if (!this.isEndedBy({ state, node })) return;
    if (isTerminal(state)) this.aborter.abort(endedOnChain(state));
    else void this.checkChain(1);
  }

  /** Runs the job until this master's part in it is over, or the master stops. */
  async run(): Promise<void> {
    const { signal, fleet } = this.deps;
    // The job may have ended while this master was down, or a killed process stored its end without acting on
    // it. Later steps ask by themselves.
    const { state, chainState, node } = this.row;
    const isFinal = this.isEndedBy({ state: chainState, node });
    if (state === 'training' || state === 'exporting') void this.checkChain(isFinal ? 1 : AGREEING_ANSWERS);
    try {
      while (isActive(this.row.state)) await this.attempt(this.row.state);
    } finally {
      await this.coordinator?.[Symbol.asyncDispose]();
      await this.ownChild?.[Symbol.asyncDispose]();
      // When the master itself stops, the workers keep what they hold and return with it.
      if (!signal.aborted) fleet.release(this.assignment, `the job is ${this.row.state}`);
    }
    if (!isActive(this.row.state)) await this.deps.evidence.settle(this.row);
  }

  private isEndedBy(chain: ChainStanding): boolean {
    const { state } = this.row;
    return isActive(state) && endsWork(state, this.deps.wallet.address, chain);
  }

  /** Stops the run when the job is no longer this master's. */
  private async checkChain(neededAnswers: number): Promise<void> {
    const state = await this.findEnd(neededAnswers);
    if (state) this.aborter.abort(endedOnChain(state));
  }

  /**
   * Asks the chain whether the job is lost, until enough answers in a row agree: an outdated answer must not
   * cost the job. Returns the chain's state that ends the work, if one does.
   */
  private async findEnd(neededAnswers: number): Promise<ChainState | undefined> {
    const { chain, clock, logger } = this.deps;
    for (let agreeing = 0; !this.signal.aborted && isActive(this.row.state); ) {
      try {
        const standing = await chain.job(this.jobId);
        if (!this.isEndedBy(standing)) return undefined;
        agreeing += 1;
        if (isTerminal(standing.state) || agreeing === neededAnswers) return standing.state;
      } catch (error) {
        logger.warn('Chain cannot be asked about the job; asking again', { jobId: this.jobId }, error);
      }
      await clock.sleep(RETRY_MS, this.signal).catch(() => undefined);
    }
    return undefined;
  }

  private async attempt(state: ActiveState): Promise<void> {
    const ended = this.aborter.signal;
    try {
      ended.throwIfAborted();
      const { to, facts } = await steps[state](this.stepContext());
      await this.move(to, facts);
      this.attempts = 0;
    } catch (error) {
      this.deps.signal.throwIfAborted();
      if (ended.aborted) return this.onStepFailed(state, ended.reason);
      const isDoubtful = errorCode(error) === 'job/ended-on-chain' && !(await this.findEnd(AGREEING_ANSWERS));
      if (isDoubtful) return this.deps.clock.sleep(RETRY_MS, this.signal).catch(() => undefined);
      await this.onStepFailed(state, error);
    }
  }

  private async onStepFailed(state: ActiveState, error: unknown): Promise<void> {
    const { logger, clock } = this.deps;
    this.attempts += 1;
    const decision = decideFailure(state, error, this.attempts);
    if (decision.kind !== 'end') {
      logger.warn('Step failed', { jobId: this.jobId, state, attempt: this.attempts, next: decision.kind }, error);
    }
    if (decision.kind === 'retry') return clock.sleep(RETRY_MS, this.signal).catch(() => undefined);
    // A deposit that may be locked must not be forgotten.
    const isLeft = decision.to !== 'skipped' || !(await this.mayBeTaken(state));
    await this.move(isLeft ? decision.to : 'declining', { reason: describeError(error) });
  }

  /** False when this node has not taken the job on chain; true also when the chain does not answer. */
  private async mayBeTaken(state: ActiveState): Promise<boolean> {
    if (state === 'claimed') return false;
    const { chain, wallet } = this.deps;
    return chain.job(this.jobId).then(
      (standing) => isTakenBy(wallet.address, standing),
      () => true,
    );
  }

  private async move(to: JobState, facts: JobFacts = {}): Promise<void> {
    const { jobs } = this.deps.store;
    const from = this.row.state;
    const moved = await jobs.move(this.jobId, from, to, facts);
    const row = await jobs.find(this.jobId);
    if (!row) throw new Error(`Job ${this.jobId} vanished from the store`);
    this.row = row;
    if (moved) this.deps.logger.info('Job moved', { jobId: this.jobId, from, to, reason: facts.reason });
  }

  private stepContext(): StepContext {
    const { row, dir, options, deps, signal } = this;
    return {
      row,
      dir,
      options,
      deps,
      signal,
      openCoordinator: (params) => this.openCoordinator(params),
      openContext: () => this.openContext(),
    };
  }

  private openCoordinator(params: JobPlan['params']): Coordinator {
    const { device, threads } = this.options;
    const options = { jobId: this.jobId, params, workDir: this.dir, device, threads };
    this.coordinator ??= new Coordinator(options, this.deps);
    return this.coordinator;
  }

  private openOwnChild(jobId: JobId, { params, prepared, totalBlocks }: JobPlan): OwnChild {
    const { device, threads } = this.options;
    const job = { jobId, params, vocabSize: prepared.vocabSize, totalBlocks };
    const microBatch = Math.min(params.batch, OWN_MICRO_BATCH);
    this.ownChild ??= new OwnChild(
      { kind: 'train', device, threads, workDir: this.dir, ...job, microBatch },
      this.deps,
    );
    return this.ownChild;
  }

  private async openContext(): Promise<JobContext> {
    const { dir, mailbox, dismissed, signal, deps } = this;
    const { settings, commissionBps } = this.options;
    const openCoordinator = (params: JobPlan['params']) => this.openCoordinator(params);
    const openOwnChild = (jobId: JobId, plan: JobPlan) => this.openOwnChild(jobId, plan);
    const given = { dir, settings, mailbox, dismissed, openCoordinator, openOwnChild, signal, deps };
    this.context ??= await openJobContext({ ...this.row, commissionBps }, given);
    return this.context;
  }
}
