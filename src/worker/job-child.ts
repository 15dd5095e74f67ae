/** The Python child of one job: its start, its idle stop, its watch for stuck rounds. */
import { mkdir } from 'node:fs/promises';
import type { Sha256 } from '../domain/ids';
import { type DeviceRoom, needsSharing } from '../domain/job-fit';
import { sizeOfJob } from '../domain/lease-bounds';
import type { Clock } from '../lib/clock';
import { AppError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { TeamPlace, TrainCommand, TrainerEvent, TrainerSpec } from '../protocol/trainer';
import type { Progress, Trainer } from '../runner/trainer';
import { clearJobDir, findKept } from './kept-theta';
import type { OfferedJob } from './state';
import { runWatched } from './watched';

export type StuckError =
  | { code: 'worker/learning-stuck'; limitMs: number }
  | { code: 'worker/wait-data-stuck'; limitMs: number };

export type RoundDone = Extract<TrainerEvent, { type: 'round.done' }>;
type RoundCommand = Omit<Extract<TrainCommand, { type: 'round.run' }>, 'id'>;

export interface JobChildOptions {
  job: OfferedJob;
  /** The job's directory. */
  dir: string;
  /** That of the job's base, if it has one. */
  base: string | undefined;
  device: string;
  processes: number;
  team?: TeamPlace | undefined;
  threads(): number;
  /** Milliseconds without work after which the child is stopped to free its memory. */
  idleMs: number;
  /** Milliseconds without progress after which the child counts as stuck. */
  learningMs: number;
  /** Milliseconds that processes wait for each other. */
  teamMs: number;
}

export interface JobChildDeps {
  openChild(spec: TrainerSpec): Trainer;
  /** Returns the memory of the smallest device, and how many there are. */
  room(): Promise<DeviceRoom>;
  clock: Clock;
  logger: Logger;
}

/** Errors after which the child still holds its θ. */
const KEEPS_THETA = /^train\/(canceled|diverged)$/;

/**
 * A Python child that starts when needed, stops when idle, and is replaced after a crash. One caller at a
 * time.
 */
export class JobChild implements AsyncDisposable {
  private child: { trainer: Trainer; microBatch: number } | undefined;
  private holds: Sha256 | undefined;
  private idle: AbortController | undefined;
  /** Why the last child ended, if it was not stopped. */
  private death: Error | undefined;

  constructor(
    private readonly options: JobChildOptions,
    private readonly deps: JobChildDeps,
  ) {}

  /** Hash of the weights the child has in memory; undefined without any, or without a child. */
  get theta(): Sha256 | undefined {
    return this.holds;
  }

  /** Where θ of this hash lies, if a child before has left it. */
  kept(sha256: Sha256): Promise<string | undefined> {
    return findKept(this.options.dir, sha256);
  }

  /** Stops the child and removes what it left: that may be why it failed. */
  async reset(): Promise<void> {
    await this.close();
    await clearJobDir(this.options.dir, false);
  }

  /**
   * Makes sure that a child with this micro-batch is running. It is not idle until `rest`, even while data
   * are being fetched.
   */
  async open(microBatch: number): Promise<void> {
    this.idle?.abort();
    if (this.child && this.child.microBatch !== microBatch) await this.close();
    if (!this.child) await this.start(microBatch);
  }

  /** Declares the child idle; it is stopped after `idleMs` unless `open` is called. */
  rest(): void {
    if (!this.child) return;
    const idle = new AbortController();
    this.idle?.abort();
    this.idle = idle;
    this.deps.clock.sleep(this.options.idleMs, idle.signal).then(
      () => {
        this.deps.logger.info('Python child stopped (idle)', { idleMs: this.options.idleMs });
        return this.close();
      },
      () => undefined, // opened again
    );
  }

  /**
   * Trains one round. An aborted signal cancels the round, which then throws `train/canceled`; the child goes
   * on. If the child has died since it was opened, throws the reason.
   */
  async runRound(
    command: RoundCommand,
    { signal, onProgress }: { signal: AbortSignal; onProgress(event: Progress): void },
  ): Promise<RoundDone> {
    const { trainer } = this.child ?? {};
    if (!trainer) throw this.death ?? new Error('The child is not open');
    const cancel = () => trainer.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      const done = await this.watch(trainer, command, onProgress);
      this.holds = command.theta.sha256;
      return done;
    } catch (error) {
      this.holds = KEEPS_THETA.test(errorCode(error)) ? command.theta.sha256 : undefined;
      throw error;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  /** Stops the child; the next `open` starts another. */
  async close(): Promise<void> {
    this.idle?.abort();
    const { child } = this;
    this.child = undefined;
    this.holds = undefined;
    await child?.trainer[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async start(microBatch: number): Promise<void> {
    const { job, dir, base, device, processes, team, teamMs, threads } = this.options;
    const { jobId, params, vocabSize, totalBlocks } = job;
    await mkdir(dir, { recursive: true });
    const sharded = needsSharing(sizeOfJob(job), await this.deps.room());
    const trainer = this.deps.openChild({
      kind: 'train',
      device,
      threads: threads(),
      workDir: dir,
      jobId,
      params,
      vocabSize,
      totalBlocks,
      microBatch,
      processes,
      team,
      teamMs,
      sharded,
      base,
    });
    const child = { trainer, microBatch };
    this.child = child;
    this.death = undefined;
    void trainer.ended.then((error) => this.onEnded(child, error));
    const ready = await trainer.ready;
    const { device: name, threads: count } = ready;
    this.deps.logger.info('Python child ready', { device: name, threads: count, microBatch, processes, sharded });
  }

  private onEnded(child: object, error: Error | undefined): void {
    if (error) this.deps.logger.warn('Python child ended unexpectedly', {}, error);
    if (this.child !== child) return;
    this.child = undefined;
    this.holds = undefined;
    this.death = error;
  }

  private watch(trainer: Trainer, command: RoundCommand, onProgress: (event: Progress) => void): Promise<RoundDone> {
    const { learningMs } = this.options;
    return runWatched(
      learningMs,
      this.deps.clock,
      (tick) =>
        trainer.run(command, 'round.done', (event) => {
          tick();
          onProgress(event);
        }),
      () => {
        trainer.kill();
        return new AppError<StuckError>(
          { code: 'worker/learning-stuck', limitMs: learningMs },
          `Training made no progress for ${learningMs} ms and was stopped; raise timeout.learning if this machine is this slow.`,
        );
      },
    );
  }
}
