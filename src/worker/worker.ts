/** The worker: carries out what its state machine decides, on whatever connection there is. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HeldBase } from '../blobs/base-cache';
import type { BlobStore } from '../blobs/blob-store';
import type { Address, JobId, Sha256 } from '../domain/ids';
import type { Box, DeviceRoom } from '../domain/job-fit';
import type { Clock } from '../lib/clock';
import { crashPoint } from '../lib/crash-point';
import { describeError, errorCode, never } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { LinkClientHandlers } from '../link/client';
import type { PullOptions } from '../link/ports';
import type { BlobRef } from '../protocol/blob-ref';
import type { MasterMessage, Offer, WorkerMessageIn } from '../protocol/link';
import type { TeamPlace, TrainerSpec } from '../protocol/trainer';
import type { Progress, Trainer } from '../runner/trainer';
import { type BaseDeps, openBase } from './base';
import { requireFit, requireLibraries } from './fit';
import { JobChild } from './job-child';
import { clearJobDirs } from './kept-theta';
import { LeaseFiles, runLease, type WorkerBlobs } from './lease';
import { ProbeRunner } from './probe-runner';
import type { ReceiptBook } from './receipts';
import {
  advance,
  type Commit,
  heldLease,
  type OfferedJob,
  type OfferedLease,
  type WorkerEffect,
  type WorkerInput,
  type WorkerState,
} from './state';

export interface WorkerOptions {
  dataDir: string;
  device: string;
  /** Processes of the Python child: one for each GPU it uses. */
  processes: number;
  /** This box's place, where several are one worker. */
  team?: TeamPlace | undefined;
  /** CPU threads of each process; called when a child starts. */
  threads(): number;
  microBatch: number;
  /** Python libraries that only some jobs need, and that are not here. */
  lacking?: readonly string[] | undefined;
  /** Milliseconds; see the configuration. */
  timeout: { wait_data: number; idle: number; learning: number; checkpoint: number; team: number };
}

export interface WorkerDeps {
  blobs: WorkerBlobs & Pick<BlobStore, 'list'>;
  /** The bases that it keeps for further jobs. */
  bases: BaseDeps['bases'];
  /** The link to the master: see `LinkClient`. */
  send(message: WorkerMessageIn): boolean;
  pull(blob: BlobRef, options: PullOptions): Promise<void>;
  receipts: Pick<ReceiptBook, 'keep'>;
  openChild(spec: TrainerSpec): Trainer;
  /** Returns the memory of the smallest device, how many there are, and the free disk. */
  room(): Promise<Box & DeviceRoom>;
  clock: Clock;
  logger: Logger;
}

/** A running worker, independent of any one connection. Disposing stops the child. */
export interface Worker extends LinkClientHandlers, AsyncDisposable {
  /** The present state, for status and tests. */
  readonly state: WorkerState;
  /** The lease to offer on the next connection. */
  held(): Offer['held'];
  /** Whether the blob is an update that this worker has named to its master. */
  serves(sha256: Sha256): boolean;
}

/**
 * Opens a worker without leases. Files of a killed predecessor are removed, as its leases went to other
 * workers; the weights it held may still be of use.
 */
export async function openWorker(options: WorkerOptions, deps: WorkerDeps): Promise<Worker> {
  await rm(join(options.dataDir, 'probes'), { recursive: true, force: true });
  await clearJobDirs(join(options.dataDir, 'jobs'), () => true);
  return new LeaseWorker(options, deps);
}

/** The job that this worker has open. */
interface JobHere {
  jobId: JobId;
  job: JobChild;
  base?: HeldBase | undefined;
}

/** A lease being worked on. */
interface OpenLease {
  files: LeaseFiles;
  controller: AbortController;
}

/**
 * Performs the effects of `advance`. Long work runs one piece after the other; its outcome is the next input.
 */
class LeaseWorker implements Worker {
  private now: WorkerState = { kind: 'free' };
  private child: JobHere | undefined;
  /** Stops the opening of a job that is not to be opened any more: its base may take long to arrive. */
  private opening: { jobId: JobId; stop: AbortController } | undefined;
  private readonly leases = new Map<string, OpenLease>();
  private master: Address | undefined;
  private answer = new AbortController();
  private work: Promise<void> = Promise.resolve();
  private closing = false;
  private readonly probes: ProbeRunner;

  constructor(
    private readonly options: WorkerOptions,
    private readonly deps: WorkerDeps,
  ) {
    this.probes = new ProbeRunner(options, deps);
  }

  get state(): WorkerState {
    return this.now;
  }

  readonly held = (): Offer['held'] => heldLease(this.now);

  serves(sha256: Sha256): boolean {
    return this.held()?.update?.sha256 === sha256 || this.probes.update === sha256;
  }

  readonly onWelcome: LinkClientHandlers['onWelcome'] = ({ address }) => {
    this.master = address;
    this.take({ type: 'welcome' });
  };

  readonly onMessage: LinkClientHandlers['onMessage'] = (message) => {
    if (message.type === 'receipt' && this.master) this.deps.receipts.keep(message, this.master);
    else logMessage(this.deps.logger, message);
    if (message.type === 'probe.run') return this.startProbe(message);
    // A job does not wait for the end of a probe.
    if (message.type === 'probe.close' || message.type === 'job.open') this.endProbe();
    this.take({ type: 'message', message });
  };

  readonly onClose: LinkClientHandlers['onClose'] = (reason, isFinal) => {
    if (!this.closing && !isFinal)
      this.deps.logger.warn('Disconnected from the master; reconnecting', { reason, held: this.held()?.leaseId });
    // The wait for a verdict starts again with the commit on the next connection.
    this.answer.abort();
    this.endProbe();
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing = true;
    this.answer.abort();
    for (const lease of this.leases.values()) lease.controller.abort();
    this.opening?.stop.abort();
    this.endProbe();
    await this.child?.job.close();
    await this.work;
    // A child may have been starting meanwhile.
    await this.child?.job.close();
  }

  private take(input: WorkerInput): void {
    if (this.closing) return;
    const { state, effects } = advance(this.now, input, this.options.microBatch);
    this.now = state;
    for (const effect of effects) this.perform(effect);
  }

  private startProbe(message: Extract<MasterMessage, { type: 'probe.run' }>): void {
    const { probeId } = message;
    if (this.closing) return;
    if (this.now.kind !== 'free') {
      const code = 'worker/busy';
      this.deps.send({ type: 'probe.failed', probeId, code, reason: 'This worker has a job open.' });
      return;
    }
    this.probes.begin(message);
    this.enqueue(() => this.probes.run(message));
  }

  private endProbe(): void {
    this.probes.close();
    this.enqueue(() => this.probes.tidy());
  }

  private perform(effect: WorkerEffect): void {
    switch (effect.type) {
      case 'send':
        this.deps.send(effect.message);
        return;
      case 'commit':
        return this.commit(effect.commit);
      case 'open':
        return this.beginOpening(effect);
      case 'train':
        return this.train(effect);
      case 'cancel':
        this.leases.get(effect.leaseId)?.controller.abort();
        return;
      case 'forget':
        return this.enqueue(() => this.forget(effect.leaseId));
      case 'close':
        if (this.opening?.jobId === effect.jobId) this.opening.stop.abort();
        return this.enqueue(() => this.close(effect.jobId));
      default:
        never(effect);
    }
  }

  private enqueue(task: () => Promise<void>): void {
    this.work = this.work.then(task).catch((error) => this.deps.logger.error('A step of the worker failed', {}, error));
  }

  /** Sends the commit. When the link is down, the next welcome makes the state machine send it again. */
  private commit(commit: Commit): void {
    this.answer.abort();
    if (!this.deps.send(commit)) return;
    crashPoint('commit.sent');
    const answer = new AbortController();
    this.answer = answer;
    const { leaseId } = commit;
    this.deps.clock.sleep(this.options.timeout.checkpoint, answer.signal).then(
      () => {
        this.deps.logger.warn('No verdict from the master (timeout.checkpoint); dropped the update', { leaseId });
        this.take({ type: 'unanswered', leaseId });
      },
      () => undefined, // answered, or the link is down
    );
  }

  private beginOpening({ job, microBatch }: Extract<WorkerEffect, { type: 'open' }>): void {
    const stop = new AbortController();
    this.opening = { jobId: job.jobId, stop };
    this.enqueue(() => this.open(job, microBatch, stop.signal));
  }

  private async open(job: OfferedJob, microBatch: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { jobId } = job;
    const here = this.openJobChild(job);
    try {
      await clearJobDirs(join(this.options.dataDir, 'jobs'), (left) => left === jobId);
      await this.makeReady(job, here, signal);
      await this.tryTwice(async () => {
        await here.job.open(microBatch);
        here.job.rest();
        crashPoint('child.ready');
      });
      this.deps.logger.info('Job opened', { jobId });
      this.take({ type: 'opened', jobId });
    } catch (error) {
      // The link itself goes on after every cut but the last.
      if (signal.aborted || errorCode(error) === 'link/cut') return;
      this.deps.logger.error('This worker cannot run the job', { jobId }, error);
      this.take({ type: 'open-failed', jobId, code: errorCode(error), reason: describeError(error) });
    }
  }

  /** Asks whether the job fits this machine, then gets its base. */
  private async makeReady(job: OfferedJob, here: JobHere, signal: AbortSignal): Promise<void> {
    const { base } = job;
    requireLibraries(job, this.options.lacking ?? []);
    const room = await this.deps.room();
    const spareBytes = base ? await this.deps.bases.spareBytes() : 0;
    requireFit(job, { ...room, diskBytes: room.diskBytes + spareBytes });
    if (base) here.base = await openBase(base, this.deps, { limitMs: this.options.timeout.wait_data, signal });
    signal.throwIfAborted();
  }

  /**
   * Starts a child a second time that crashed, as another process may have held its memory for a moment, or
   * that something unexpected came between.
   */
  private async tryTwice(start: () => Promise<void>): Promise<void> {
    try {
      await start();
    } catch (error) {
      if (this.closing || !/^(runner\/child-crashed|unknown)$/.test(errorCode(error))) throw error;
      await start();
    }
  }

  private openJobChild(job: OfferedJob): JobHere {
    const { timeout } = this.options;
    const fixed = { ...this.options, idleMs: timeout.idle, learningMs: timeout.learning, teamMs: timeout.team };
    const base = job.base && this.deps.bases.path(job.base.list);
    const child = new JobChild({ job, dir: this.jobDir(job.jobId), base, ...fixed }, this.deps);
    this.child = { jobId: job.jobId, job: child };
    return this.child;
  }

  private train(effect: Extract<WorkerEffect, { type: 'train' }>): void {
    const { leaseId } = effect.lease;
    const openLease = this.leases.get(leaseId) ?? {
      files: new LeaseFiles(this.deps),
      controller: new AbortController(),
    };
    this.leases.set(leaseId, openLease);
    this.enqueue(() => this.runLease(effect, openLease));
  }

  private async runLease(
    { lease, job, microBatch, restart }: Extract<WorkerEffect, { type: 'train' }>,
    { files, controller }: OpenLease,
  ): Promise<void> {
    const { signal } = controller;
    const { leaseId, round } = lease;
    if (signal.aborted) return;
    const { job: child } = this.child ?? this.openJobChild(job);
    try {
      crashPoint('lease.taken');
      if (restart) await child.reset();
      await child.open(microBatch);
      const about = { lease, child, files, dir: this.jobDir(job.jobId), waitDataMs: this.options.timeout.wait_data };
      const commit = await runLease(about, { signal, onProgress: (event) => this.onProgress(lease, event) });
      logCommit(this.deps.logger, round, commit);
      this.take({ type: 'trained', commit });
    } catch (error) {
      if (signal.aborted) return;
      this.deps.logger.warn('Round failed', { leaseId, round }, error);
      this.take({ type: 'round-failed', leaseId, code: errorCode(error), reason: describeError(error) });
    } finally {
      child.rest();
    }
  }

  private onProgress({ leaseId, round }: OfferedLease, { step, steps, loss, tokensPerSecond }: Progress): void {
    this.deps.send({ type: 'lease.progress', leaseId, step, steps, loss, tokensPerSecond });
    this.deps.logger.debug('Training', { round, step, steps, loss, tokensPerSecond });
  }

  private async forget(leaseId: string): Promise<void> {
    const lease = this.leases.get(leaseId);
    this.leases.delete(leaseId);
    await lease?.files.remove();
    crashPoint('lease.settled');
  }

  private async close(jobId: JobId): Promise<void> {
    if (this.child?.jobId === jobId) {
      await this.child.job.close();
      this.child.base?.[Symbol.dispose]();
      this.child = undefined;
    }
    await rm(this.jobDir(jobId), { recursive: true, force: true });
    await this.removeLeft();
    this.deps.logger.info('Job closed', { jobId });
  }

  /** Removes what no lease needs any more, such as the part of a base that did not arrive whole. */
  private async removeLeft(): Promise<void> {
    const { blobs, bases } = this.deps;
    for await (const { sha256 } of blobs.list()) if (!(await bases.has(sha256))) await blobs.remove(sha256);
  }

  private jobDir(jobId: JobId): string {
    return join(this.options.dataDir, 'jobs', jobId);
  }
}

function logMessage(logger: Logger, message: MasterMessage): void {
  if (message.type === 'lease.grant') {
    const { round, start, end, shard } = message;
    logger.info('Lease taken', { round, blocks: end - start, start, bytes: shard.bytes });
  } else if (message.type === 'lease.revoke') {
    logger.info('Lease revoked', { leaseId: message.leaseId, reason: message.reason });
  } else if (message.type === 'update.verdict' && !message.accepted) {
    logger.warn('Update rejected', { leaseId: message.leaseId, reason: message.reason });
  }
}

function logCommit(logger: Logger, round: number, { tokens, loss, seconds, update }: Commit): void {
  const tokensPerSecond = Math.round(tokens / Math.max(seconds, 1e-3));
  logger.info('Round trained', { round, tokens, loss: Number(loss.toFixed(4)), tokensPerSecond, bytes: update.bytes });
}
