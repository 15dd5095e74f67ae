import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobId, Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { BlobRef, MasterMessage, Offer, WorkerMessageIn } from '../protocol/link';
import type { TrainerEvent, TrainerSpec } from '../protocol/trainer';
import type { BlobStore } from '../blobs/blob-store';
import type { Trainer } from '../runner/trainer';

export type JobOpen = Extract<MasterMessage, { type: 'job.open' }>;
export type Grant = Extract<MasterMessage, { type: 'lease.grant' }>;
type Commit = Extract<WorkerMessageIn, { type: 'lease.commit' }>;
type RoundDone = Extract<TrainerEvent, { type: 'round.done' }>;

export interface SessionSettings {
  /** Where the job's files go. */
  dir: string;
  device: string;
  threads: number;
  processes: number;
  microBatch: number;
  /** Milliseconds; see `timeout` in the configuration. */
  timeout: { wait_data: number; idle: number; learning: number; checkpoint: number };
}

export interface SessionDeps {
  blobs: BlobStore;
  openTrainer(spec: TrainerSpec): Trainer;
  /** Brings a blob of the master, across as many connections as it takes. */
  pull(blob: BlobRef, signal: AbortSignal): Promise<void>;
  send(message: WorkerMessageIn): void;
  clock: Clock;
  logger: Logger;
}

export type SessionError =
  | { code: 'worker/wait-data'; ms: number }
  | { code: 'worker/learning-stuck'; ms: number }
  | { code: 'worker/lease-over'; reason: string };

/** A child that crashes is replaced and the round begun again; after the second crash the lease is given back. */
const MAX_CRASHES = 2;
/** What a fresh child with the whole weights may cure. */
const BEGIN_AGAIN = new Set(['runner/child-crashed', 'worker/learning-stuck', 'model/wrong-base', 'model/wrong-hash']);

interface Current {
  grant: Grant;
  aborter: AbortController;
  /** Set when the round is done: sent again after every cut, until the master's verdict. */
  commit?: Commit | undefined;
  checkpoint?: NodeJS.Timeout | undefined;
}

/**
 * A worker's part in one job: one lease at a time, from its data to its committed update. The Python child stays alive from round to
 * round; a cut of the link does not disturb it.
 */
export class JobSession implements AsyncDisposable {
  readonly jobId: JobId;
  private current: Current | undefined;
  private trainer: Trainer | undefined;
  /** The weights the child holds, so that a step onto them is enough. */
  private heldTheta: Sha256 | undefined;
  private microBatch: number;
  private outOfMemory = 0;
  private idleTimer: NodeJS.Timeout | undefined;
  private readonly used = new Set<Sha256>();

  constructor(
    private readonly job: JobOpen,
    private readonly settings: SessionSettings,
    private readonly deps: SessionDeps,
  ) {
    this.jobId = job.jobId;
    this.microBatch = Math.min(settings.microBatch, job.params.batch);
  }

  /** Starts the child, so that the first lease finds it ready. Throws what keeps it from starting. */
  async open(): Promise<void> {
    await (await this.child()).ready;
    this.restartIdleTimer();
  }

  /** What to tell a master after a cut. */
  held(): Offer['held'] {
    if (!this.current) return undefined;
    const { grant, commit } = this.current;
    return { jobId: this.jobId, leaseId: grant.leaseId, ...(commit ? { update: commit.update as BlobRef } : {}) };
  }

  /** Says again what the master may have missed. */
  resend(): void {
    if (this.current?.commit) this.deps.send(this.current.commit);
  }

  /** Works on a lease; a lease that is still running ends. */
  async accept(grant: Grant): Promise<void> {
    if (this.current?.grant.leaseId === grant.leaseId) return this.resend();
    this.drop('another lease came');
    const current: Current = { grant, aborter: new AbortController() };
    this.current = current;
    clearTimeout(this.idleTimer);
    try {
      const commit = await this.work(grant, current.aborter.signal);
      if (this.current !== current) return;
      current.commit = commit;
      current.checkpoint = setTimeout(() => this.onNoVerdict(current), this.settings.timeout.checkpoint);
      this.deps.send(commit);
    } catch (error) {
      if (this.current === current) this.giveBack(grant, error);
    } finally {
      this.restartIdleTimer();
    }
  }

  /** The master's word on our update: either way this lease is over. */
  onVerdict(leaseId: string, accepted: boolean, reason: string | undefined): void {
    if (this.current?.grant.leaseId !== leaseId) return;
    if (!accepted) this.deps.logger.warn('Update was not accepted', { leaseId, reason });
    this.drop(reason ?? 'done');
  }

  revoke(leaseId: string, reason: string): void {
    if (this.current?.grant.leaseId !== leaseId) return;
    this.deps.logger.info('Lease revoked', { leaseId, reason });
    this.drop(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop('the job is closed');
    clearTimeout(this.idleTimer);
    await this.closeChild();
    for (const sha256 of this.used) await this.deps.blobs.remove(sha256);
    await rm(this.settings.dir, { recursive: true, force: true });
  }

  private async work(grant: Grant, signal: AbortSignal): Promise<Commit> {
    for (let crashes = 0; ; ) {
      try {
        return await this.attempt(grant, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        const code = errorCode(error);
        if (code === 'train/oom') this.onOutOfMemory();
        else if (!BEGIN_AGAIN.has(code)) throw error;
        crashes += 1;
        this.deps.logger.warn('Round failed', { leaseId: grant.leaseId, crashes }, error);
        // Halving the micro-batch always ends; a plain crash may not.
        if (code !== 'train/oom' && crashes >= MAX_CRASHES) throw error;
        if (code === 'train/oom' && this.outOfMemory > 2 && this.microBatch === 1) throw error;
        await this.closeChild();
      }
    }
  }

  private async attempt(grant: Grant, signal: AbortSignal): Promise<Commit> {
    const { blobs } = this.deps;
    const step = grant.delta?.base === this.heldTheta && this.heldTheta ? grant.delta : undefined;
    const weights = step ? step.blob : grant.theta;
    await this.fetch([grant.shard, weights], signal);
    const child = await this.child();
    const out = join(this.settings.dir, `update-${grant.leaseId}.safetensors`);
    const theta = step
      ? { delta: blobs.path(step.blob.sha256), base: step.base, sha256: grant.theta.sha256 }
      : { path: blobs.path(grant.theta.sha256), sha256: grant.theta.sha256 };
    this.heldTheta = undefined;
    const command = { type: 'round.run', round: grant.round, start: grant.start, shard: blobs.path(grant.shard.sha256), theta, out } as const;
    const done = await this.train(child, command, grant, signal);
    this.heldTheta = grant.theta.sha256;
    const update = await blobs.add(done.update.path, { move: true });
    this.used.add(update.sha256);
    return toCommit(grant, done, update);
  }

  /** Runs the round; a child without progress for `learning` milliseconds is killed. */
  private async train(
    child: Trainer,
    command: Parameters<Trainer['run']>[0],
    grant: Grant,
    signal: AbortSignal,
  ): Promise<RoundDone> {
    const { learning } = this.settings.timeout;
    let isStuck = false;
    const onStuck = () => {
      isStuck = true;
      process.kill(child.pid, 'SIGKILL');
    };
    let watchdog = setTimeout(onStuck, learning);
    const onAbort = () => child.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await child.run(command, 'round.done', ({ step, steps, loss, tokensPerSecond }) => {
        clearTimeout(watchdog);
        watchdog = setTimeout(onStuck, learning);
        this.deps.send({ type: 'lease.progress', leaseId: grant.leaseId, step, steps, loss, tokensPerSecond });
      });
    } catch (error) {
      if (!isStuck) throw error;
      throw new AppError<SessionError>(
        { code: 'worker/learning-stuck', ms: learning },
        `The Python child made no progress for ${learning} ms and was ended; raise timeout.learning if the device is that slow.`,
        { cause: error },
      );
    } finally {
      clearTimeout(watchdog);
      signal.removeEventListener('abort', onAbort);
      if (isStuck) await this.closeChild();
    }
  }

  private async fetch(refs: readonly BlobRef[], signal: AbortSignal): Promise<void> {
    const { wait_data: ms } = this.settings.timeout;
    const limit = AbortSignal.timeout(ms);
    try {
      for (const ref of refs) {
        this.used.add(ref.sha256);
        await this.deps.pull(ref, AbortSignal.any([signal, limit]));
      }
    } catch (error) {
      if (!limit.aborted || signal.aborted) throw error;
      throw new AppError<SessionError>(
        { code: 'worker/wait-data', ms },
        `The lease's data did not arrive within ${ms} ms; raise timeout.wait_data if the line is that slow.`,
        { cause: error },
      );
    }
  }

  private giveBack(grant: Grant, error: unknown): void {
    this.deps.logger.warn('Lease given back', { leaseId: grant.leaseId }, error);
    const reason = describeError(error).slice(0, 500);
    this.deps.send({ type: 'lease.failed', leaseId: grant.leaseId, code: errorCode(error).slice(0, 60), reason });
    this.current = undefined;
  }

  private onNoVerdict(current: Current): void {
    if (this.current !== current) return;
    this.deps.logger.warn('No verdict on an update; dropped', { leaseId: current.grant.leaseId });
    this.drop('no verdict came');
  }

  /** Ends the present lease, whatever it is doing. */
  private drop(reason: string): void {
    const { current } = this;
    if (!current) return;
    this.current = undefined;
    clearTimeout(current.checkpoint);
    current.aborter.abort(new AppError<SessionError>({ code: 'worker/lease-over', reason }, `The lease is over: ${reason}.`));
  }

  /** The first time may be a neighbour's fault; from the second on the micro-batch is halved (accumulation makes up for it). */
  private onOutOfMemory(): void {
    this.outOfMemory += 1;
    if (this.outOfMemory >= 2) this.microBatch = Math.max(1, Math.floor(this.microBatch / 2));
  }

  private async child(): Promise<Trainer> {
    if (this.trainer) return this.trainer;
    const { dir, device, threads, processes } = this.settings;
    const { params, vocabSize, totalBlocks } = this.job;
    const trainer = this.deps.openTrainer({
      kind: 'train',
      jobId: this.jobId,
      params,
      vocabSize,
      totalBlocks,
      device,
      threads,
      processes,
      microBatch: this.microBatch,
      workDir: dir,
    });
    this.trainer = trainer;
    void trainer.ended.then(() => {
      if (this.trainer !== trainer) return;
      this.trainer = undefined;
      this.heldTheta = undefined;
    });
    return trainer;
  }

  private async closeChild(): Promise<void> {
    const { trainer } = this;
    this.trainer = undefined;
    this.heldTheta = undefined;
    await trainer?.[Symbol.asyncDispose]();
  }

  private restartIdleTimer(): void {
    clearTimeout(this.idleTimer);
    this.idleTimer = setTimeout(() => {
      if (this.current) return;
      this.deps.logger.info('Python child had no work; ending it', { jobId: this.jobId });
      void this.closeChild();
    }, this.settings.timeout.idle);
  }
}

function toCommit(grant: Grant, done: RoundDone, update: BlobRef): Commit {
  const { tokens, loss, lossCurve, seconds, endTheta } = done;
  return { type: 'lease.commit', leaseId: grant.leaseId, update, tokens, loss, lossCurve, seconds, endTheta };
}
