/** Which jobs this master takes, and which workers each of them gets. */
import type { JobId } from '../domain/ids';
import { activeStates } from '../domain/job';
import {
  byFee,
  capacityFor,
  chooseWorkers,
  countParameters,
  estimateTokens,
  type FeeRange,
  memoryBytesOf,
  refuseJob,
  vocabularyOf,
  type WorkEstimate,
  withMemory,
} from '../domain/job-fit';
import type { Assignment } from '../fleet/assignment';
import type { FleetUser } from '../fleet/fleet';
import { crashPoint } from '../lib/crash-point';
import { describeError } from '../lib/errors';
import type { ResolvedParams } from '../protocol/job-params';
import type { JobRow } from '../store/jobs';
import { EvidenceBook, type EvidenceOptions } from './evidence';
import { JobRun } from './job-run';
import { resolveParams } from './params';
import type { QueueFleet, QueueStore } from './ports';
import type { JobRunDeps, JobRunOptions } from './steps/step';

export interface SchedulerOptions extends JobRunOptions, FeeRange, EvidenceOptions {
  cooperative: '1v1' | 'nvm';
  /** How many jobs are worked on at the same time. */
  maxJobs: number;
}

export interface SchedulerDeps extends Omit<JobRunDeps, 'evidence'> {
  store: QueueStore;
  fleet: QueueFleet;
}

const TICK_MS = 1000;
/** How soon a job that was refused for lack of capacity is considered again. */
const SECOND_LOOK_MS = 15_000;

/**
 * Takes the best paid job that can be finished before its deadline with the idle workers, and shares these
 * out. Each job runs by itself; a failing one does not disturb the others.
 */
export class Scheduler implements FleetUser {
  private readonly runs = new Map<JobId, { run: JobRun; done: Promise<void> }>();
  /** Jobs that were refused for lack of capacity, and when to consider them again. */
  private readonly secondLook = new Map<JobId, number>();

  private readonly evidence: EvidenceBook;

  constructor(
    private readonly options: SchedulerOptions,
    private readonly deps: SchedulerDeps,
  ) {
    this.evidence = new EvidenceBook(options, deps);
  }

  get isBusy(): boolean {
    return this.runs.size > 0;
  }

  /**
   * Resumes the jobs this master was working on when it last ended, then takes further ones until the signal.
   */
  async run(): Promise<void> {
    const { store, wallet, clock, logger, signal } = this.deps;
    const mine = await store.jobs.list({ states: activeStates, owner: wallet.address });
    for (const row of mine) this.start(row);
    await this.evidence.open().catch((error) => {
      logger.warn('Files of finished jobs were not removed', {}, error);
    });
    while (!signal.aborted) {
      await this.tick().catch((error) => logger.error('Scheduling failed', {}, error));
      await clock.sleep(TICK_MS, signal).catch(() => undefined);
    }
    await Promise.allSettled([...this.runs.values()].map(({ done }) => done));
  }

  find(jobId: JobId): JobRun | undefined {
    return this.runs.get(jobId)?.run;
  }

  findAssignment({ jobId }: { jobId: JobId }): Assignment | undefined {
    const run = this.find(jobId);
    return run?.wantsWorkers ? run.assignment : undefined;
  }

  onIdle(): void {
    this.shareWorkers();
  }

  /** Gives idle workers to the jobs that want some, the earliest deadline first. */
  private shareWorkers(): void {
    const { fleet, clock } = this.deps;
    const wanting = [...this.runs.values()].map(({ run }) => run).filter((run) => run.wantsWorkers && run.plan);
    wanting.sort((a, b) => a.deadlineMs - b.deadlineMs);
    for (const run of wanting) {
      const plan = run.plan;
      if (!plan) continue;
      const taken = fleet.view().filter((worker) => worker.jobId === run.jobId).length;
      if (this.options.cooperative === '1v1' && taken > 0) continue;
      const work = { parameters: plan.parameters, tokens: plan.totalBlocks * plan.prepared.blockTokens };
      const leftMs = run.deadlineMs - clock.now();
      const { cooperative } = this.options;
      const othersWaiting = wanting.length > 1;
      const able = withMemory(fleet.idle(), memoryBytesOf(plan.params, plan.prepared.vocabSize));
      const idle = able.filter(({ address }) => !run.dismissed.has(address));
      for (const worker of chooseWorkers(idle, { cooperative, work, leftMs, othersWaiting })) {
        fleet.assign(worker.address, run.assignment);
      }
    }
  }

  private async tick(): Promise<void> {
    this.shareWorkers();
    if (this.runs.size >= this.options.maxJobs || this.deps.fleet.idle().length === 0) return;
    await this.requeue();
    const queued = await this.deps.store.jobs.list({ states: ['queued'], limit: 50 });
    for (const row of queued.sort(byFee)) {
      if (await this.consider(row)) return;
    }
  }

  /** Decides on one job of the queue; true when it was claimed. */
  private async consider(row: JobRow): Promise<boolean> {
    const { store, wallet, fleet, storage, clock, logger } = this.deps;
    let reason: string | undefined;
    try {
      const params = resolveParams(row.params, { batch: this.options.batchSize, epochs: this.options.epochs });
      const work = estimateWork(params, await storage.size(row.dataset));
      const neededBytes = memoryBytesOf(params, vocabularyOf(params.tokenizer));
      const capacity = capacityFor(fleet.idle(), neededBytes);
      const refusal = refuseJob(row, work, this.options, capacity, clock.now());
      if (refusal?.code.startsWith('job/not-enough-')) this.secondLook.set(row.id, clock.now() + SECOND_LOOK_MS);
      reason = refusal && describeRefusal(refusal);
    } catch (error) {
      reason = describeError(error);
    }
    if (reason !== undefined) {
      logger.info('Job not taken', { jobId: row.id, reason });
      await store.jobs.move(row.id, 'queued', 'skipped', { reason });
      return false;
    }
    if (!(await store.jobs.claim(row.id, wallet.address))) return false;
    crashPoint('job.claimed');
    const claimed = await store.jobs.find(row.id);
    if (claimed) this.start(claimed);
    return true;
  }

  private async requeue(): Promise<void> {
    for (const [jobId, atMs] of this.secondLook) {
      if (this.deps.clock.now() < atMs) continue;
      this.secondLook.delete(jobId);
      await this.deps.store.jobs.move(jobId, 'skipped', 'queued', {});
    }
  }

  private start(row: JobRow): void {
    const run = new JobRun(row, this.options, { ...this.deps, evidence: this.evidence });
    const done = run.run().then(
      () => this.deps.logger.info('Job left', { jobId: row.id, state: run.state }),
      (error) => {
        if (!this.deps.signal.aborted) this.deps.logger.error('Job run ended', { jobId: row.id }, error);
      },
    );
    this.runs.set(row.id, { run, done: done.finally(() => this.runs.delete(row.id)) });
  }
}

function describeRefusal(refusal: NonNullable<ReturnType<typeof refuseJob>>): string {
  switch (refusal.code) {
    case 'job/fee-too-low':
      return `it would pay ${refusal.payWei} wei, less than min_fee ${refusal.minFeeWei}`;
    case 'job/fee-too-high':
      return `it would pay ${refusal.payWei} wei, more than max_fee ${refusal.maxFeeWei}`;
    case 'job/deadline-passed':
      return `its deadline ${new Date(refusal.deadlineMs).toISOString()} has passed`;
    case 'job/not-enough-memory':
      return `it needs about ${Math.ceil(refusal.neededBytes / 2 ** 20)} MiB on a device, and no idle worker has so much`;
    case 'job/not-enough-capacity':
      return `it needs about ${seconds(refusal.neededMs)} s with the idle workers, ${seconds(refusal.leftMs)} s are left`;
  }
}

function estimateWork(params: ResolvedParams, bytes: number): WorkEstimate {
  return {
    tokens: estimateTokens(bytes, params),
    parameters: countParameters(params.model, vocabularyOf(params.tokenizer)),
  };
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
