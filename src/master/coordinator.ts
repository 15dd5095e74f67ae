/** The job's Python child on the master, replaced when it dies. */
import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { AppError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ResolvedParams } from '../protocol/job-params';
import type { CoordinateCommand, TrainCommand, TrainerEvent, TrainerSpec } from '../protocol/trainer';

/** A running Python child, as the master uses it. */
export interface CoordinatorChild extends AsyncDisposable {
  run<T extends TrainerEvent['type']>(
    command: WithoutId<z.input<typeof CoordinateCommand> | z.input<typeof TrainCommand>>,
    answer: T,
  ): Promise<Extract<TrainerEvent, { type: T }>>;
}
type WithoutId<C> = C extends { id: number } ? Omit<C, 'id'> : never;

export interface CoordinatorDeps {
  logger: Logger;
  openChild(spec: TrainerSpec): Promise<CoordinatorChild>;
}

/** A command was given after the job was over. */
export type CoordinatorError = { code: 'job/over'; jobId: string };

/**
 * Prepares, cuts, inspects, folds, evaluates and exports. Every command is a function of files, so when the
 * child dies it is replaced and the command is given again, once. Once disposed, it starts no child.
 */
export class Coordinator implements AsyncDisposable {
  private child: Promise<CoordinatorChild> | undefined;
  private closing = false;

  constructor(
    private readonly options: {
      jobId: string;
      params: ResolvedParams;
      /** The directory of the job's base, if it has one. */
      base?: string | undefined;
      workDir: string;
      device: string;
      threads: number;
    },
    private readonly deps: CoordinatorDeps,
  ) {}

  /**
   * Throws the child's own errors, `runner/child-crashed` when the second child dies too, `job/over` after it
   * was disposed.
   */
  async run<T extends TrainerEvent['type']>(
    command: WithoutId<z.input<typeof CoordinateCommand>>,
    answer: T,
  ): Promise<Extract<TrainerEvent, { type: T }>> {
    const child = this.open();
    try {
      return await (await child).run(command, answer);
    } catch (error) {
      // A command may still be running when the job ends; its child was then stopped on purpose.
      if (this.closing || errorCode(error) !== 'runner/child-crashed') throw error;
      this.deps.logger.warn('Python child died; starting another', { command: command.type }, error);
      await this.close(child);
      return (await this.open()).run(command, answer);
    }
  }

  /** Goes on with other parameters, for which another child is needed. Not to be called during a command. */
  async adopt(params: ResolvedParams): Promise<void> {
    if (isDeepStrictEqual(params, this.options.params)) return;
    this.options.params = params;
    await this.close(this.child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing = true;
    await this.close(this.child);
  }

  private open(): Promise<CoordinatorChild> {
    if (this.closing) {
      const { jobId } = this.options;
      throw new AppError<CoordinatorError>(
        { code: 'job/over', jobId },
        `Job ${jobId} is over; it starts no Python child.`,
      );
    }
    this.child ??= this.start();
    return this.child;
  }

  /** One that cannot be started is not kept, so that the next command tries again. */
  private start(): Promise<CoordinatorChild> {
    const child = this.deps.openChild({ kind: 'coordinate', ...this.options });
    child.catch(() => {
      if (this.child === child) this.child = undefined;
    });
    return child;
  }

  /** Closes this child only: another command that failed with it may have started the next one already. */
  private async close(child: Promise<CoordinatorChild> | undefined): Promise<void> {
    if (this.child === child) this.child = undefined;
    // A child that failed to open has nothing to close, and its error was already thrown to the caller.
    await child?.then(
      (opened) => opened[Symbol.asyncDispose](),
      () => undefined,
    );
  }
}
