/** Which jobs this master takes, and which workers each of them gets. */
import type { JobId } from '../domain/ids';
import { isActive, needsBox, needsWorkers } from '../domain/job';
import {
  type Box,
  byFee,
  capacityFor,
  chooseWorkers,
  expectTokens,
  type FeeRange,
  type JobRefusal,
  nextLookMs,
  nodeBytesOf,
  refuseByBox,
  refuseJob,
  vocabularyOf,
  type WorkEstimate,
  withMemory,
  workOf,
} from '../domain/job-fit';
import { type ModelSize, modelSizeOf } from '../domain/model-size';
import type { Assignment } from '../fleet/assignment';
import type { FleetUser } from '../fleet/fleet';
import { crashPoint } from '../lib/crash-point';
import { describeError } from '../lib/errors';
import { formatBytes } from '../lib/format-bytes';
import { Trouble } from '../lib/trouble';
import type { NumberedParams } from '../protocol/job-params';
import { isClaimLost } from '../store/claimant';
import type { JobRow } from '../store/jobs';
import { ClaimKeeper } from './claim-keeper';
import { EvidenceBook, type EvidenceOptions } from './evidence';
import { JobRun } from './job-run';
import { readJobParams } from './params';
import { sizeOfPlan } from './plan';
import type { QueueFleet, QueueStore } from './ports';
import { isJobFault } from './step-failure';
import type { JobRunDeps, JobRunOptions } from './steps/step';

export interface SchedulerOptions extends JobRunOptions, FeeRange, EvidenceOptions {
  /** How many jobs are worked on at the same time. */
  maxJobs: number;
  /** Memory of this machine. */
  memoryBytes: number;
}

export interface SchedulerDeps extends Omit<JobRunDeps, 'evidence'> {
  store: QueueStore;
  fleet: QueueFleet;
}

/** An open job with what is asked of others before it can be decided on. */
interface Sized {
  row: JobRow;
  size: Promise<number>;
  model: Promise<{ params: NumberedParams; model: ModelSize }>;
}

const TICK_MS = 1000;
/** How soon a job of this master that nothing works on is taken up. */
const TAKE_UP_MS = 5000;
/** How many open jobs are looked at in one tick. */
const MOST_LOOKS = 50;
/** How soon at most a job is considered again that lacked workers: they come and go. */
const CAPACITY_LOOK_MS = 60_000;

/** A job under way, and what of the fleet it asks for. */
interface Entry {
  run: JobRun;
  /** Undefined for a job that an earlier process claimed. */
  needs?: Needs | undefined;
}

/** What a job needs of workers, estimated before anything is fetched. */
interface Needs {
  work: WorkEstimate;
  model: ModelSize;
  diskBytes: number;
}

/**
 * Takes the best paid job that can be finished before its deadline with the idle workers, and shares these
 * out. Each job runs by itself; a failing one does not disturb the others.
 */
export class Scheduler implements FleetUser {
  private readonly runs = new Map<JobId, Entry & { done: Promise<void> }>();
  private readonly trouble: Trouble;
  private readonly evidence: EvidenceBook;
  private readonly claims: ClaimKeeper;
  /** True once what an earlier process left has been looked at. */
  private isOpen = false;
  private takenUpAtMs = 0;

  constructor(
    private readonly options: SchedulerOptions,
    private readonly deps: SchedulerDeps,
  ) {
    this.evidence = new EvidenceBook(options, deps);
    this.trouble = new Trouble(deps.wallet.address);
    this.claims = new ClaimKeeper(deps, () => [...this.runs.values()].map(({ run }) => run));
  }

  /** True while a job needs this box; one that waits for its verdict does not. */
  get isBusy(): boolean {
    return [...this.runs.values()].some(({ run }) => needsBox(run.state));
  }

  get evidenceBytes(): number {
    return this.evidence.bytes();
  }

  /** Takes up the jobs of this master, and takes further ones, until the signal. */
  async run(): Promise<void> {
    const { clock, signal } = this.deps;
    const claims = this.claims.keep();
    while (!signal.aborted) {
      const isWell = await this.look();
      await clock.sleep(isWell ? TICK_MS : this.trouble.pauseMs(), signal).catch(() => undefined);
    }
    await claims;
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
      const model = sizeOfPlan(plan);
      const { blockTokens } = plan.prepared;
      const work = workOf(model, plan.totalBlocks * blockTokens, blockTokens);
      const leftMs = run.deadlineMs - clock.now();
      const { cooperative } = this.options;
      const othersWaiting = wanting.length > 1;
      const able = withMemory(fleet.idle(), model);
      const idle = able.filter(({ address }) => !run.dismissed.has(address));
      for (const worker of chooseWorkers(idle, { cooperative, work, leftMs, othersWaiting })) {
        fleet.assign(worker.address, run.assignment);
      }
    }
  }

  /** Looks once; false when something was in the way, which is told once. */
  private async look(): Promise<boolean> {
    const { logger, clock } = this.deps;
    try {
      if (clock.now() >= this.takenUpAtMs + TAKE_UP_MS) await this.takeUp();
      await this.tick();
      if (this.trouble.end()) logger.info('Scheduling goes on');
      return true;
    } catch (error) {
      if (this.trouble.note(error, clock.now())) logger.warn('Scheduling waits', {}, error);
      return false;
    }
  }

  /** Starts a run for every job that this master has and does not work on, whatever its last run died of. */
  private async takeUp(): Promise<void> {
    const { store, wallet, logger } = this.deps;
    for (const jobId of await this.claims.hold()) {
      const row = this.runs.has(jobId) ? undefined : await this.claims.open(jobId);
      if (row) this.start(row);
    }
    if (!this.isOpen) await this.open();
    for (const row of await store.jobs.listOrphans(wallet.address)) {
      const { node, state } = await this.deps.chain.job(row.id);
      if (state !== 'PROCESSING' || node !== wallet.address) continue;
      logger.warn('Job is taken up again, as the chain says that this node has it', { jobId: row.id });
      await this.claim(row);
    }
    this.takenUpAtMs = this.deps.clock.now();
  }

  /** Settings may be others than those by which an earlier process left jobs out. */
  private async open(): Promise<void> {
    await this.deps.store.jobs.lookAtAll();
    await this.evidence.open().catch((error) => {
      this.deps.logger.warn('Files of finished jobs were not removed', {}, error);
    });
    this.isOpen = true;
  }

  private async tick(): Promise<void> {
    this.shareWorkers();
    const working = [...this.runs.values()].filter(({ run }) => needsBox(run.state));
    if (working.length >= this.options.maxJobs || this.unclaimed().length === 0) return;
    const { store, storage } = this.deps;
    const open = (await store.jobs.listOpen(MOST_LOOKS)).sort(byFee);
    // Asked all together, as strangers' servers may take as long as they are let.
    const offers = open.map((row) => ({ row, size: storage.size(row.dataset), model: this.sizeModel(row) }));
    await Promise.allSettled(offers.flatMap(({ size, model }) => [size, model]));
    for (const offer of offers) {
      if (await this.consider(offer)) return;
    }
  }

  /** Lists the idle workers that no claimed job is waiting for: one worker counts for one job. */
  private unclaimed(): ReturnType<QueueFleet['idle']> {
    const { fleet, clock } = this.deps;
    const { cooperative } = this.options;
    const view = fleet.view();
    const waiting = [...this.runs.values()].filter(
      ({ run }) => needsWorkers(run.state) && !view.some(({ jobId }) => jobId === run.jobId),
    );
    let idle = fleet.idle();
    for (const { run, needs } of waiting.sort((a, b) => a.run.deadlineMs - b.run.deadlineMs)) {
      const able = withMemory(idle, needs?.model).filter(({ address }) => !run.dismissed.has(address));
      const work = needs?.work ?? { tokens: 0, parameters: 0 };
      const leftMs = run.deadlineMs - clock.now();
      const chosen = chooseWorkers(able, { cooperative, work, leftMs, othersWaiting: true });
      idle = idle.filter((worker) => !chosen.includes(worker));
    }
    return idle;
  }

  /** Decides on one open job; true when it was claimed. */
  private async consider({ row, size, model: sized }: Sized): Promise<boolean> {
    const { clock, logger, store } = this.deps;
    const nowMs = clock.now();
    let left: { reason: string; lookAtMs?: number | undefined };
    try {
      const { params, model } = await sized;
      const data = { bytes: await size, tokens: expectTokens(await size, params, row) };
      const work = workOf(model, data.tokens, params.batch * params.model.context);
      const capacity = capacityFor(this.unclaimed(), model);
      const node = nodeBytesOf(params, data, model);
      const refusal = refuseJob(row, work, this.options, capacity, nowMs) ?? refuseByBox(node, await this.roomOfNode());
      if (!refusal) return this.claim(row, { work, model, diskBytes: node.diskBytes });
      left = { reason: describeRefusal(refusal), lookAtMs: nextLook(refusal.code, row, nowMs) };
    } catch (error) {
      const lookAtMs = isJobFault(error) ? undefined : nowMs + nextLookMs(nowMs - row.createdAtMs);
      left = { reason: describeError(error), lookAtMs };
    }
    // Said when it begins; `emeth job` has the present reason.
    if (row.state === 'queued') logger.info('Job not taken', { jobId: row.id, ...left });
    await store.jobs.skip(row.id, row.state === 'queued' ? 'queued' : 'skipped', left);
    return false;
  }

  /** What a job asks for, and how large its model is; of a base, that is asked for. */
  private async sizeModel(row: JobRow): Promise<Awaited<Sized['model']>> {
    const params = readJobParams(row.params, { batch: this.options.batchSize, epochs: this.options.epochs });
    if (params.tune === 'none') {
      return { params, model: modelSizeOf(params, vocabularyOf(params.tokenizer), undefined) };
    }
    const { vocabSize, ...base } = await this.deps.storage.sizeBase(row, params);
    return { params, model: modelSizeOf(params, vocabSize, base) };
  }

  /** What this machine has for another job: those just claimed have not used their part yet. */
  private async roomOfNode(): Promise<Box> {
    const isNew = ({ run }: Entry) => run.state === 'claimed' || run.state === 'preparing';
    const promised = [...this.runs.values()].filter(isNew).reduce((sum, { needs }) => sum + (needs?.diskBytes ?? 0), 0);
    return { diskBytes: (await this.deps.disk.roomBytes()) - promised, memoryBytes: this.options.memoryBytes };
  }

  private async claim(row: JobRow, needs?: Needs): Promise<boolean> {
    const { store, wallet } = this.deps;
    if (isActive(row.state) || row.state === 'verified') return false;
    if (!(await store.jobs.claim(row.id, wallet.address, row.state))) return false;
    const claimed = await store.jobs.find(row.id);
    if (claimed) this.start(claimed, needs);
    crashPoint('job.claimed');
    return true;
  }

  private start(row: JobRow, needs?: Needs): void {
    const run = new JobRun(row, this.options, { ...this.deps, evidence: this.evidence });
    const done = run.run().then(
      () => this.deps.logger.info('Job left', { jobId: row.id, state: run.state }),
      (error) => {
        const level = isClaimLost(error) ? 'warn' : 'error';
        if (!this.deps.signal.aborted) this.deps.logger[level]('Job run ended', { jobId: row.id }, error);
      },
    );
    this.runs.set(row.id, { run, needs, done: done.finally(() => this.runs.delete(row.id)) });
  }
}

/** When a refused job is considered again; undefined when nothing but somebody's word can change its mind. */
function nextLook(code: JobRefusal['code'], row: JobRow, nowMs: number): number | undefined {
  if (code === 'job/deadline-passed') return undefined;
  // The same settings give the same answer; others come with a new start.
  if (code.startsWith('job/fee-')) return row.deadlineMs;
  return nowMs + Math.min(nextLookMs(nowMs - row.createdAtMs), CAPACITY_LOOK_MS);
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
    case 'job/node-too-small': {
      const has = refusal.what === 'disk' ? 'has room for' : 'has';
      return `it needs about ${formatBytes(refusal.neededBytes)} of this master's ${refusal.what}, which ${has} ${formatBytes(refusal.roomBytes)}`;
    }
    case 'job/not-enough-capacity':
      return `it needs about ${seconds(refusal.neededMs)} s with the idle workers, ${seconds(refusal.leftMs)} s are left`;
  }
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
