/** Every way to cheat that a job must survive, each as a worker that otherwise is a real one. */
import { randomBytes } from 'node:crypto';
import { copyFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cheat, type CheatedLease, demoCheats, forge, type RoundAnswer } from '../../src/demo/cheat';
import { readTensors, type Tensor, writeTensors } from '../../src/demo/tensor-files';
import { sha256File } from '../../src/lib/hash';
import { ResolvedParams } from '../../src/protocol/job-params';

/** What the cheats of one job share: a directory in which updates can be seen by others. */
export interface Exchange {
  dir: string;
}

export interface CheatPlan {
  /** It does all of its work, and lies about something else. */
  works?: boolean | undefined;
  /** What each of the cheating workers does; mostly it is one. */
  cheats(exchange: Exchange): Cheat[];
  /** What an honest worker lets the others see. */
  victim?(exchange: Exchange): Cheat;
}

const one = (cheat: Cheat): CheatPlan => ({ cheats: () => [cheat] });
const working = (cheat: Cheat): CheatPlan => ({ ...one(cheat), works: true });
type Changed = Pick<ResolvedParams, 'inner' | 'precision'>;
/** Trains with other parameters than the job's. */
const withParams = (change: (params: ResolvedParams) => Partial<Changed>): Cheat => ({
  spec: (spec) => {
    const params = ResolvedParams.parse(spec.params);
    return { ...spec, params: { ...params, ...change(params) } as ResolvedParams };
  },
});
const withRate = (factor: number) => withParams(({ inner }) => ({ inner: { ...inner, lr: factor * inner.lr } }));

export const cheatPlans = {
  zeros: one(demoCheats.zeros),
  noise: one(demoCheats.noise),
  'noise inside the norm': one({ round: randomSigns }),
  silent: one({ round: ({ canceled }) => untilCanceled(canceled) }),
  'no time': working({ round: withSeconds(0) }),
  'a tenth of the time': working({ round: withSeconds(0.1) }),
  'false power': working({ boast: 1e4 }),
  'four fifths and noise': one({ round: fourFifths }),
  copied: {
    cheats: (exchange) => [{ round: copy(exchange) }],
    victim: (exchange) => ({ round: show(exchange) }),
  },
  'stale θ': one({ round: fromFirstTheta }),
  'scaled 3×': one({ round: scaled(3) }),
  'scaled 0.3×': one({ round: scaled(0.3) }),
  'wrong range': one({ round: fromFirstShard }),
  'rate 1 % off': one(withRate(0.99)),
  'bf16 for fp32': one(withParams(() => ({ precision: 'bf16' }))),
  'clip skipped': one(withParams(({ inner }) => ({ inner: { ...inner, clip: 1e9 } }))),
  'two keys': { cheats: () => [withRate(0.5), withRate(0.5)] },
} satisfies Record<string, CheatPlan>;
export type CheatKind = keyof typeof cheatPlans;
export const cheatKinds = Object.keys(cheatPlans) as CheatKind[];

/** Knows how large an update is: its first is true, the others are that one with random signs. */
async function randomSigns(lease: CheatedLease): Promise<RoundAnswer> {
  const kept = join(lease.spec.workDir, 'first-update');
  if (lease.count === 0) {
    const done = await lease.train(lease.command);
    await copyFile(done.update.path, kept);
    return done;
  }
  const tensors = await readTensors(kept);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return forge(lease, (tensor) => {
    byName.get(tensor.name)?.bytes.copy(tensor.bytes);
    if (tensor.name.endsWith('.scale')) return;
    const random = randomBytes(tensor.bytes.length);
    eachNumber(tensor, (value, i) => ((random[i] ?? 0) & 1 ? -value : value));
  });
}

/** Trains four fifths of the blocks and adds a little noise. */
async function fourFifths({ train, command }: CheatedLease): Promise<RoundAnswer> {
  const [tokens] = await readTensors(command.shard);
  if (!tokens) throw new Error('The shard is empty');
  const [blocks = 1, ...rest] = tokens.shape;
  const kept = Math.max(1, Math.floor(0.8 * blocks));
  const bytes = tokens.bytes.subarray(0, (tokens.bytes.length / blocks) * kept);
  const shard = `${command.out}.shard`;
  await writeTensors(shard, [{ ...tokens, shape: [kept, ...rest], bytes }]);
  const done = await train({ ...command, shard });
  const random = randomBytes(1 << 16);
  const update = await edit(done, (tensor) => {
    if (!tensor.name.endsWith('.scale'))
      eachNumber(tensor, (value, i) => nudge(tensor, value, random[i % random.length] ?? 0));
  });
  return { ...done, update, tokens: (done.tokens / kept) * blocks };
}

function nudge({ dtype }: Tensor, value: number, random: number): number {
  if (dtype === 'I8') return Math.max(-127, Math.min(127, value + (random % 3) - 1));
  return value * (1 + (random - 128) / 12_800);
}

/** Waits for the update that somebody else made in this round, and changes it a little. */
function copy({ dir }: Exchange) {
  return async (lease: CheatedLease): Promise<RoundAnswer> => {
    const theirs = join(dir, lease.command.theta.sha256);
    while (!(await stat(theirs).catch(() => undefined))) {
      lease.canceled.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const byName = new Map((await readTensors(theirs)).map((tensor) => [tensor.name, tensor]));
    const random = randomBytes(1 << 16);
    return forge(lease, (tensor) => {
      byName.get(tensor.name)?.bytes.copy(tensor.bytes);
      if (tensor.name.endsWith('.scale')) return;
      // So little that the direction stays the same to three digits.
      eachNumber(tensor, (value, i) =>
        (random[i % random.length] ?? 0) < 4 ? nudge(tensor, value, random[i % random.length] ?? 0) : value,
      );
    });
  };
}

/** Trains, and leaves the update where others can see it. */
function show({ dir }: Exchange) {
  return async ({ train, command }: CheatedLease): Promise<RoundAnswer> => {
    const done = await train(command);
    const path = join(dir, command.theta.sha256);
    await copyFile(done.update.path, `${path}.part`);
    await rename(`${path}.part`, path);
    return done;
  };
}

/** Trains every lease from the weights of its first. */
async function fromFirstTheta({ train, command, first }: CheatedLease): Promise<RoundAnswer> {
  return train({ ...command, theta: { path: first.theta, sha256: await sha256File(first.theta) } });
}

/** Trains the blocks of its first lease again and again, as many as it was given. */
async function fromFirstShard({ train, command, first }: CheatedLease): Promise<RoundAnswer> {
  const [[own], [given]] = await Promise.all([readTensors(first.shard), readTensors(command.shard)]);
  if (!own || !given) throw new Error('The shard is empty');
  const bytes = Buffer.alloc(given.bytes.length);
  for (let at = 0; at < bytes.length; at += own.bytes.length) own.bytes.copy(bytes, at);
  const shard = `${command.out}.shard`;
  await writeTensors(shard, [{ ...given, bytes }]);
  return train({ ...command, shard });
}

function withSeconds(factor: number) {
  return async ({ train, command }: CheatedLease): Promise<RoundAnswer> => {
    const done = await train(command);
    return { ...done, seconds: factor * done.seconds };
  };
}

function scaled(factor: number) {
  return async ({ train, command }: CheatedLease): Promise<RoundAnswer> => {
    const done = await train(command);
    const update = await edit(done, (tensor) => {
      if (tensor.dtype === 'F32') eachNumber(tensor, (value) => factor * value);
    });
    return { ...done, update };
  };
}

async function untilCanceled(canceled: AbortSignal): Promise<never> {
  if (!canceled.aborted) await new Promise((resolve) => canceled.addEventListener('abort', resolve, { once: true }));
  throw canceled.reason;
}

async function edit({ update }: RoundAnswer, change: (tensor: Tensor) => void): Promise<RoundAnswer['update']> {
  const tensors = await readTensors(update.path);
  tensors.forEach(change);
  return writeTensors(update.path, tensors);
}

/** Replaces each number of an int8 or fp32 tensor. */
function eachNumber({ dtype, bytes }: Tensor, change: (value: number, i: number) => number): void {
  if (dtype === 'I8') {
    for (let i = 0; i < bytes.length; i++) bytes.writeInt8(change(bytes.readInt8(i), i), i);
    return;
  }
  for (let i = 0; 4 * i < bytes.length; i++) bytes.writeFloatLE(change(bytes.readFloatLE(4 * i), i), 4 * i);
}
