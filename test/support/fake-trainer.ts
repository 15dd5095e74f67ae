/** A Python child without Python, whose rounds end as a test decides. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../src/lib/errors';
import type { TrainerEvent, TrainerSpec } from '../../src/protocol/trainer';
import type { Trainer } from '../../src/runner/trainer';
import { blobName } from './worker-messages';

/** What happens to the next round: it is trained, fails with a code, or hangs until killed or canceled. */
export type Fate = 'trains' | 'hangs' | { code: string };

/** A Python child as a worker sees it. */
export class FakeTrainer implements Trainer {
  readonly pid = 1;
  readonly ready = Promise.resolve({ type: 'ready' as const, device: 'cpu', threads: 1, parameters: 1 });
  readonly ended: Promise<AppError | undefined>;
  isDisposed = false;
  /** What it was asked to train. */
  readonly rounds: { theta: object }[] = [];
  private end: (error?: AppError) => void = () => undefined;
  private stop: (error: AppError) => void = () => undefined;

  constructor(
    readonly spec: TrainerSpec,
    /** Shared by all children of a test; each round takes the next. */
    private readonly fates: Fate[],
    /** Events that `next` returns. */
    private readonly events: TrainerEvent[] = [],
  ) {
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  run: Trainer['run'] = async (command, answer) => {
    if (command.type === 'probe.make') {
      const [theta, shard] = [command.theta, command.shard].map((path) => ({ path, sha256: blobName('e'), bytes: 1 }));
      return as(answer, { type: 'probe.made', id: 1, theta: theta!, shard: shard! });
    }
    if (command.type === 'round.run') this.rounds.push(command);
    const fate = this.fates.shift() ?? 'trains';
    if (fate === 'hangs') await new Promise((_, reject) => (this.stop = reject));
    if (typeof fate === 'object') throw new AppError(fate, 'The test made this round fail.');
    const path = join(this.spec.workDir, 'update');
    await writeFile(path, 'an update');
    const facts = { tokens: 256, loss: 5, lossCurve: [5], seconds: 1, endTheta: blobName('d') };
    const update = { path, sha256: blobName('c'), bytes: 9 };
    const event: TrainerEvent = { type: 'round.done', id: 1, update, ...facts };
    return as(answer, event);
  };

  cancel(): void {
    this.stop(new AppError({ code: 'train/canceled' }, 'The round was canceled.'));
  }

  next: Trainer['next'] = async (type) => {
    const event = this.events.find((one) => one.type === type);
    return event ? as(type, event) : new Promise<never>(() => undefined);
  };

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

/** Narrows an event to the type a caller waits for. */
function as<T extends TrainerEvent['type']>(type: T, event: TrainerEvent): Extract<TrainerEvent, { type: T }> {
  if (event.type !== type) throw new Error(`This fake answers ${event.type}, not ${type}`);
  return event as Extract<TrainerEvent, { type: T }>;
}
