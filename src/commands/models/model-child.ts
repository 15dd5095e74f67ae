/** A Python child with a model in memory, for the commands that use a trained one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCommandLogger } from '../../app/account';
import type { TrainerSpec } from '../../protocol/trainer';
import type { Trainer } from '../../runner/trainer';
import { openTrainers } from '../../runner/trainers';
import type { CommonOptions } from '../../terminal/options';

type Own<S> = S extends TrainerSpec ? Omit<S, 'threads' | 'workDir'> : never;

export interface ModelChild extends AsyncDisposable {
  readonly child: Trainer;
  /** Where it may write. */
  readonly workDir: string;
}

/** Starts a child in a directory of its own inside `parent`, which goes when the child is disposed of. */
export async function openModelChild(
  spec: (workDir: string) => Own<TrainerSpec>,
  options: CommonOptions,
  signal: AbortSignal,
  parent = tmpdir(),
): Promise<ModelChild> {
  const dir = await mkdtemp(join(parent, '.emeth-model-'));
  const remove = () => rm(dir, { recursive: true, force: true });
  try {
    signal.throwIfAborted();
    const trainers = await openTrainers({ dir }, openCommandLogger(options));
    const workDir = join(dir, 'work');
    const child = trainers.open({ ...spec(workDir), threads: 0, workDir } as TrainerSpec);
    return {
      child,
      workDir,
      async [Symbol.asyncDispose]() {
        await child[Symbol.asyncDispose]();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Waits for work, but throws the reason of the signal at once when it aborts. */
export async function unlessStopped<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let stop = () => {};
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
