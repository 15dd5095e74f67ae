import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../src/lib/errors';
import type { TrainerSpec } from '../../src/protocol/trainer';
import type { Trainer } from '../../src/runner/trainer';
import { blobName } from './worker-messages';

/** How a fake child meets its next round: it trains it, refuses it with a code, or hangs until killed or canceled. */
export type Fate = 'trains' | 'hangs' | { code: string };

/** A Python child of a few lines: as a worker sees it, without Python. */
export class FakeTrainer implements Trainer {
  readonly pid = 1;
  readonly ready = Promise.resolve({ type: 'ready' as const, device: 'cpu', threads: 1, parameters: 1 });
  readonly ended: Promise<AppError | undefined>;
  isDisposed = false;
  private end: (error?: AppError) => void = () => undefined;
  private stop: (error: AppError) => void = () => undefined;

  constructor(
    readonly spec: TrainerSpec,
    /** Shared by all children of a test, each round takes the next. */
    private readonly fates: Fate[],
  ) {
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  run: Trainer['run'] = async (_command, answer) => {
    const fate = this.fates.shift() ?? 'trains';
    if (fate === 'hangs') await new Promise((_, reject) => (this.stop = reject));
    if (typeof fate === 'object') throw new AppError(fate, 'as the test wishes');
    const path = join(this.spec.workDir, 'update');
    await writeFile(path, 'an update');
    const facts = { tokens: 256, loss: 5, lossCurve: [5], seconds: 1, endTheta: blobName('d') };
    return { type: answer, id: 1, update: { path, sha256: blobName('c'), bytes: 9 }, ...facts } as never;
  };

  cancel(): void {
    this.stop(new AppError({ code: 'train/canceled' }, 'The round was canceled.'));
  }

  next(): Promise<never> {
    return new Promise(() => undefined);
  }

  kill(): void {
    const crash = new AppError({ code: 'runner/child-crashed' }, 'The Python child ended (SIGKILL).');
    this.end(crash);
    this.stop(crash);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true;
    this.kill();
  }
}
