/** One job from claim to pay: runs the step of its state, stores the outcome, waits out own trouble. */
import type { Address, JobId } from '../domain/ids';
import {
  type ActiveState,
  type ChainState,
  canMove,
  isActive,
  isTerminal,
  type JobState,
  needsBox,
  needsWorkers,
} from '../domain/job';
import { nextLookMs } from '../domain/job-fit';
import type { JobAssignment } from '../fleet/assignment';
import { type AppError, describeError } from '../lib/errors';
import { Mailbox } from '../lib/mailbox';
import { Trouble } from '../lib/trouble';
import { type ClaimError, isClaimLost } from '../store/claimant';
import type { JobFacts, JobRow } from '../store/jobs';
import { type ChainStanding, endsWork, isTakenBy } from './chain-standing';
import { Coordinator } from './coordinator';
import { type JobContext, type LiveJob, openJobContext } from './job-context';
import { type JobEvent, passEvents } from './job-events';
import { jobBaseDir, jobDir } from './job-files';
import { OwnChild } from './own-child';
import { JobPlan, type PlannedModel } from './plan';
import { cheapUntilMs } from './reach-state';
import { decideFailure, endedOnChain } from './step-failure';
import { giveBackJob } from './steps/decline';
import { finishJob } from './steps/finish';
import { prepareJob } from './steps/prepare';
import { settleJob } from './steps/settle';
import type { JobRunDeps, JobRunOptions, Step, StepContext } from './steps/step';
import { submitJob } from './steps/submit';
import { takeJob } from './steps/take';
import { trainJob } from './steps/train';

/** How soon the chain is asked again whether a job is lost. */
const ASK_AGAIN_MS = 5000;
/** Trouble that has lasted so long may last beyond the deadline. */
const LASTING_MS = 60_000;
/** More than the longest pause between two attempts. */
const LAST_LOOK_MS = 15_000;
/** Sequences that the own child computes at once: few, as the master's memory is not bought for training. */
const OWN_MICRO_BATCH = 4;
/** How many answers in a row must say that a job is lost where no final event does: an endpoint may lag. */
const AGREEING_ANSWERS = 5;

/** Where a step leaves its job, or where its failure does. */
interface Outcome {
  to: JobState;
  facts?: JobFacts | undefined;
}

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
  readonly dismissed = new Map<Address, string>();
  private readonly mailbox: Mailbox<JobEvent>;
  private readonly dir: string;
  private readonly aborter = new AbortController();
  private readonly signal: AbortSignal;
  private context: JobContext | undefined;
  private coordinator: Coordinator | undefined;
  private ownChild: OwnChild | undefined;
  /** What the step came to, until that is stored. */
  private outcome: Outcome | undefined;
  private readonly trouble: Trouble;

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
    this.trouble = new Trouble(`${deps.wallet.address} ${row.id}`);
    this.signal = AbortSignal.any([deps.signal, this.aborter.signal]);
  }

  /** True while the job can use workers. */
  get wantsWorkers(): boolean {
    return this.row.state === 'training' && !this.aborter.signal.aborted;
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
  /** What this master waits for before the job can go on; undefined while it does. */
  get waitsFor(): string | undefined {
    return this.trouble.reason;
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

  /** Ends the run at once and writes nothing more of the job: another process works on it now. */
  onClaimLost(error: AppError<ClaimError>): void {
    if (isActive(this.row.state)) this.aborter.abort(error);
  }

  /** Runs the job until this master's part in it is over, or the master stops. */
  async run(): Promise<void> {
    // The job may have ended while this master was down, or a killed process stored its end without acting on
    // it. Later steps ask by themselves.
    const { state, chainState, node } = this.row;
    const isFinal = this.isEndedBy({ state: chainState, node });
    if (state === 'training' || state === 'exporting') void this.checkChain(isFinal ? 1 : AGREEING_ANSWERS);
    try {
      while (isActive(this.row.state)) {
        await this.attempt(this.row.state);
        await this.freeBox();
      }
    } catch (error) {
      // When the master itself stops, the workers keep what they hold and return with it.
      if (isClaimLost(error)) this.leaveWorkers(error);
      await this.stopChildren();
      throw error;
    }
    await this.tidyUp();
  }

  /** A full disk is when files have to go, and may be what keeps them. */
  private async tidyUp(): Promise<void> {
    for (;;) {
      try {
        await this.deps.evidence.settle(this.row);
        return this.goOn();
      } catch (error) {
        this.deps.signal.throwIfAborted();
        await this.wait(error);
      }
    }
  }

  private leaveWorkers(claimLost: unknown): void {
    this.aborter.abort(claimLost); // So that it wants none of them back.
    this.deps.fleet.release(this.assignment, 'another master works on the job');
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
    const { clock, logger } = this.deps;
    for (let agreeing = 0; !this.signal.aborted && isActive(this.row.state); ) {
      try {
        const standing = await this.standing();
        if (!this.isEndedBy(standing)) return undefined;
        agreeing += 1;
        if (isTerminal(standing.state) || agreeing === neededAnswers) return standing.state;
      } catch (error) {
        logger.warn('Chain cannot be asked about the job; asking again', { jobId: this.jobId }, error);
      }
      await clock.sleep(ASK_AGAIN_MS, this.signal).catch(() => undefined);
    }
    return undefined;
  }

  /** Does the step of a state and stores what it came to; or waits, and is then called again. */
  private async attempt(state: ActiveState): Promise<void> {
    try {
      this.outcome ??= await this.work(state);
      await this.move(this.outcome);
      this.outcome = undefined;
      this.goOn();
    } catch (error) {
      this.deps.signal.throwIfAborted();
      if (isClaimLost(error)) throw error;
      await this.wait(error);
    }
  }

  /** Notes that nothing is in the way any more. */
  private goOn(): void {
    if (this.trouble.end()) this.deps.logger.info('Job goes on', { jobId: this.jobId, state: this.row.state });
  }

  /** Returns what the step of a state came to; throws what passes by itself. */
  private async work(state: ActiveState): Promise<Outcome> {
    const ended = this.aborter.signal;
    try {
      ended.throwIfAborted();
      return await steps[state](this.stepContext());
    } catch (error) {
      this.deps.signal.throwIfAborted();
      if (isClaimLost(ended.reason)) throw ended.reason;
      if (ended.aborted) return { to: 'failed', facts: { reason: describeError(ended.reason) } };
      return this.endStep(state, error);
    }
  }

  private async endStep(state: ActiveState, error: unknown): Promise<Outcome> {
    const decision = decideFailure(state, error, this.trouble.attempts + 1);
    if (decision.kind === 'wait') {
      if (!this.mustGiveBack(state)) throw error;
      return { to: 'declining', facts: { reason: `this node cannot go on in time: ${describeError(error)}` } };
    }
    const isDoubtful = decision.kind === 'end' && !(await this.findEnd(AGREEING_ANSWERS));
    if (isDoubtful) throw error;
    const reason = describeError(error);
    if (decision.kind === 'end') return { to: 'failed', facts: { reason } };
    // A deposit that may be locked must not be forgotten: without the chain's word this waits.
    const isTaken = !canMove(state, 'skipped') || isTakenBy(this.deps.wallet.address, await this.standing());
    // Room for others is no reason to lose money by a job that this node has already.
    const isToWait = isTaken && canMove(state, 'skipped') && decision.for === 'node' && !this.isLastMoment();
    if (isToWait) throw error;
    if (isTaken) return { to: 'declining', facts: { reason } };
    return { to: 'skipped', facts: { reason, lookAtMs: decision.for === 'node' ? this.nextLook() : undefined } };
  }

  private mustGiveBack(state: ActiveState): boolean {
    return (state === 'training' || state === 'exporting') && this.isLastMoment();
  }

  /** True in the last moments in which lasting trouble may still give the job to another node, cheaply. */
  private isLastMoment(): boolean {
    const nowMs = this.deps.clock.now();
    const leftMs = cheapUntilMs(this.context ?? this) - nowMs;
    return this.trouble.lastedMs(nowMs) >= LASTING_MS && leftMs >= 0 && leftMs < LAST_LOOK_MS;
  }

  private standing(): Promise<ChainStanding> {
    return this.deps.chain.job(this.jobId);
  }

  private nextLook(): number {
    const nowMs = this.deps.clock.now();
    return nowMs + nextLookMs(nowMs - this.row.createdAtMs);
  }

  private async wait(error: unknown): Promise<void> {
    const { logger, clock, signal } = this.deps;
    const isNews = this.trouble.note(error, clock.now());
    if (isNews) logger.warn('Job waits', { jobId: this.jobId, state: this.row.state }, error);
    // The end of the job, when it comes, is a reason to try at once; once it has come, it is not.
    const wakes = this.aborter.signal.aborted ? signal : this.signal;
    await clock.sleep(this.trouble.pauseMs(), wakes).catch(() => undefined);
  }

  /** Gives workers and memory to others once the job needs them no more. */
  private async freeBox(): Promise<void> {
    const { state } = this.row;
    if (!needsWorkers(state)) this.deps.fleet.release(this.assignment, `the job is ${state}`);
    if (!needsBox(state)) await this.stopChildren();
  }

  private async stopChildren(): Promise<void> {
    await this.coordinator?.[Symbol.asyncDispose]();
    await this.ownChild?.[Symbol.asyncDispose]();
  }

  private async move({ to, facts = {} }: Outcome): Promise<void> {
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
      openCoordinator: (plan) => this.openCoordinator(plan),
      openContext: () => this.openContext(),
    };
  }

  private openCoordinator({ params, base }: PlannedModel): Coordinator {
    const { dataDir, device, threads } = this.options;
    const job = { jobId: this.jobId, params, base: base && jobBaseDir(dataDir, base) };
    const options = { ...job, workDir: this.dir, device, threads };
    this.coordinator ??= new Coordinator(options, this.deps);
    return this.coordinator;
  }

  private openOwnChild(jobId: JobId, { params, base, prepared, totalBlocks }: JobPlan): OwnChild {
    const { dataDir, device, threads } = this.options;
    const facts = { vocabSize: prepared.vocabSize, totalBlocks };
    const job = { jobId, params, base: base && jobBaseDir(dataDir, base), ...facts };
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
    if (this.context) return this.context;
    const { base } = JobPlan.parse(this.row.plan);
    // The directory of a job that waited for long may be gone.
    if (base) await deps.storage.openBase(base);
    const openCoordinator = (plan: PlannedModel) => this.openCoordinator(plan);
    const openOwnChild = (jobId: JobId, plan: JobPlan) => this.openOwnChild(jobId, plan);
    const goOn = () => this.goOn();
    const given = { dir, settings, mailbox, dismissed, openCoordinator, openOwnChild, goOn, signal, deps };
    const context = await openJobContext({ ...this.row, commissionBps }, given);
    this.context = context;
    // Nothing waits for this answer: until it comes, what deployments start with counts.
    void deps.chain.minWorkMs().then(
      (minWorkMs) => Object.assign(context.reach, { minWorkMs }),
      (error) => deps.logger.warn('Terms of the contract were not read', { jobId: this.jobId }, error),
    );
    return context;
  }
}
