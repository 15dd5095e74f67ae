/** Workers that cheat, so that demo and tests can show what finds them out. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Sha256 } from '../domain/ids';
import { AppError } from '../lib/errors';
import type { TrainerEvent, TrainerSpec } from '../protocol/trainer';
import type { Interim, Trainer } from '../runner/trainer';
import { HeldWeights } from './held-weights';
import { fillWithNoise, readTensors, type Tensor, writeTensors } from './tensor-files';
import { emptyUpdate } from './update-codecs';

type TrainSpec = Extract<TrainerSpec, { kind: 'train' }>;
type RoundCommand = Extract<Parameters<Trainer['run']>[0], { type: 'round.run' }>;
export type RoundAnswer = Extract<TrainerEvent, { type: 'round.done' }>;

/** What a cheat has at hand for one lease. */
export interface CheatedLease {
  command: RoundCommand;
  spec: TrainSpec;
  /** Counts this worker's leases from 0. */
  count: number;
  /** Names and shapes of the model. */
  shapes: HeldWeights['shapes'];
  /** Copies of the files of its first lease; θ is always a whole file there. */
  first: { theta: string; shard: string };
  /** Aborts when the master takes the lease back. */
  canceled: AbortSignal;
  /** Has the real child train. */
  train(command: RoundCommand): Promise<RoundAnswer>;
}

/** One way to cheat: something else happens where the worker would have its Python child train. */
export interface Cheat {
  /** Changes what the real child is started with. */
  spec?: ((spec: TrainSpec) => TrainSpec) | undefined;
  /** Answers a lease; without it, the real child does. */
  round?: ((lease: CheatedLease) => Promise<RoundAnswer>) | undefined;
  /** The announced speed ÷ the real one; default 1. */
  boast?: number | undefined;
}

/** What `emeth demo --cheat` offers. */
export const demoCheats = {
  /** Answers at once that nothing was to be changed. */
  zeros: { round: (lease) => forge(lease, () => undefined) },
  /** Trains, announces ten times its speed and says that it took no time. */
  speed: { boast: 10, round: async ({ train, command }) => ({ ...(await train(command)), seconds: 0 }) },
  /** Answers at once with large random numbers. */
  noise: { round: (lease) => forge(lease, fillWithNoise) },
} satisfies Record<string, Cheat>;
export type DemoCheat = keyof typeof demoCheats;

export function isDemoCheat(kind: string): kind is DemoCheat {
  return kind in demoCheats;
}

/** Answers a lease without having trained, with an update whose tensors are filled as wished. */
export async function forge(
  { command, spec, first }: CheatedLease,
  fill: (tensor: Tensor) => void,
): Promise<RoundAnswer> {
  const [theta, [tokens]] = await Promise.all([readTensors(first.theta), readTensors(command.shard)]);
  const update = emptyUpdate(theta, spec.params.codec ?? 'int8');
  update.forEach(fill);
  const [blocks = 1, batch = 1, length = 2] = tokens?.shape ?? [];
  return {
    type: 'round.done',
    id: 1,
    update: await writeTensors(command.out, update),
    tokens: blocks * batch * (length - 1),
    loss: 2,
    lossCurve: [2],
    seconds: 0.01,
    endTheta: Sha256.parse(command.theta.sha256),
  };
}

type OpenChild = (spec: TrainerSpec) => Trainer;

/** Wraps how a worker opens its Python child, so that the child cheats. */
export function openCheating(cheat: Cheat, open: OpenChild): OpenChild {
  return (spec) => {
    if (spec.kind !== 'train') return open(spec);
    const given = cheat.spec?.(spec) ?? spec;
    return cheat.round ? new CheatingTrainer(open(given), given, cheat.round) : open(given);
  };
}

class CheatingTrainer implements Trainer {
  private count = 0;
  private readonly weights: HeldWeights;
  private running = new AbortController();

  constructor(
    private readonly child: Trainer,
    private readonly spec: TrainSpec,
    private readonly round: NonNullable<Cheat['round']>,
  ) {
    this.weights = new HeldWeights(spec.params.codec ?? 'int8');
  }

  get pid() {
    return this.child.pid;
  }
  get ready() {
    return this.child.ready;
  }
  get ended() {
    return this.child.ended;
  }

  async run<T extends TrainerEvent['type']>(
    command: Parameters<Trainer['run']>[0],
    type: T,
    onInterim?: (event: Interim<T>) => void,
  ): Promise<Extract<TrainerEvent, { type: T }>> {
    if (command.type !== 'round.run') return this.child.run(command, type, onInterim);
    const running = new AbortController();
    this.running = running;
    const first = await this.keepFirst(command);
    await this.weights.follow(command.theta);
    const answer = await this.round({
      command,
      spec: this.spec,
      count: this.count++,
      first,
      shapes: this.weights.shapes,
      canceled: running.signal,
      train: (given) =>
        this.child.run(given, 'round.done', onInterim as ((event: Interim<'round.done'>) => void) | undefined),
    });
    // A careful cheat reports the true hash of its forged update: a false one would be refused at once.
    const endTheta = Sha256.parse(await this.weights.endTheta(answer.update.path));
    const event: TrainerEvent = { ...answer, endTheta };
    return event as Extract<TrainerEvent, { type: T }>;
  }

  cancel(): void {
    this.running.abort(new AppError({ code: 'train/canceled' }, 'The round was canceled.'));
    this.child.cancel();
  }

  next: Trainer['next'] = (type) => this.child.next(type);

  kill(): void {
    this.child.kill();
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    this.cancel();
    return this.child[Symbol.asyncDispose]();
  }

  private async keepFirst({ theta, shard }: RoundCommand): Promise<CheatedLease['first']> {
    const first = { theta: join(this.spec.workDir, 'first-theta'), shard: join(this.spec.workDir, 'first-shard') };
    if (this.count === 0 && 'path' in theta) {
      await copyFile(theta.path, first.theta);
      await copyFile(shard, first.shard);
    }
    return first;
  }
}
