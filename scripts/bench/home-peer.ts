/** Plain data-parallel training over slow links, for `home-link.ts`: steps to a loss, seconds of one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ResolvedParams } from '../../src/protocol/job-params';
import type { ChaosProxy } from '../../test/support/chaos-proxy';
import { realPython as python } from '../../test/support/tiny-job';
import { tell } from './report';

const script = join(__dirname, '..', '..', 'python', 'bench', 'peer_parallel.py');

export interface PeerWork {
  dataset: string;
  params: ResolvedParams;
  folder: string;
  proxy: ChaosProxy;
  workers: number;
  lr: number;
  /** Steps that are timed through the link. */
  steps: number;
  /** Blocks that ours trained, and the loss that it reached with them. */
  blocks: number;
  target: number;
  /** For the training without the link. */
  threads: number;
}

export interface PeerRun {
  lr: number;
  /** To the target, or with all blocks. */
  steps: number;
  reachesLoss: boolean;
  loss: number;
  curve: { step: number; loss: number }[];
  secondsPerStep: number;
  /** Of these, without waiting for the link. */
  computedSeconds: number;
  bytesPerToken: number;
}

/** Measures both parts. */
export async function runPeer(work: PeerWork): Promise<PeerRun> {
  await mkdir(work.folder);
  const { params, dataset, folder, workers, lr, blocks } = work;
  const task = { params: { ...params, codec: 'fp32' }, dataset, folder, workers, lr, blocks };
  await last(start({ ...task, mode: 'prepare' }));
  tell('theirs: steps through the link');
  const timed = await timeSteps(task, work);
  tell(`theirs: ${timed.secondsPerStep.toFixed(2)} s for a step; now how many are needed to ${work.target.toFixed(3)}`);
  const curve: { step: number; loss: number }[] = [];
  const child = start({ ...task, mode: 'curve', target: work.target, threads: work.threads });
  for await (const line of linesOf(child)) {
    const look = line as { step: number; loss: number };
    curve.push(look);
    tell(`theirs: ${look.loss.toFixed(3)} after ${look.step} steps`);
  }
  const { step: steps = 0, loss = Number.NaN } = curve.at(-1) ?? {};
  return { lr, steps, reachesLoss: loss <= work.target, loss, curve, ...timed };
}

/** Workers behind the link, and their server before it. */
async function timeSteps(task: object, { proxy, workers, steps, params }: PeerWork) {
  const server = start({ ...task, mode: 'serve' });
  try {
    const [opened] = await firstOf(server, 1);
    proxy.target((opened as { port: number }).port);
    const started = Array.from({ length: workers }, (_, rank) =>
      start({ ...task, mode: 'work', rank, port: proxy.port, steps }),
    );
    const passed = () => proxy.passed.toServer + proxy.passed.toClient;
    let before = 0;
    const all = await Promise.all(
      started.map(async (child, rank) => {
        const found: { seconds: number; computed: number }[] = [];
        for await (const line of linesOf(child)) {
          // The first step, with whatever happens once, does not count.
          if (found.push(line as (typeof found)[number]) === 1 && rank === 0) before = passed();
          tell(`theirs: worker ${rank + 1} took ${found.at(-1)?.seconds.toFixed(1)} s for a step`);
        }
        return found.slice(1);
      }),
    );
    const counted = all.flat();
    const mean = (pick: (one: (typeof counted)[number]) => number) =>
      counted.reduce((sum, one) => sum + pick(one), 0) / counted.length;
    const tokens = steps * workers * params.batch * params.model.context;
    return {
      secondsPerStep: mean(({ seconds }) => seconds),
      computedSeconds: mean(({ computed }) => computed),
      bytesPerToken: (passed() - before) / tokens,
    };
  } finally {
    server.kill();
  }
}

function start(task: object): ChildProcess {
  const env = { ...process.env, OMP_NUM_THREADS: String('threads' in task ? task.threads : 1) };
  return spawn(python, [script, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'], env });
}

/** What a child prints; throws when it fails. */
async function* linesOf(child: ChildProcess): AsyncGenerator<unknown> {
  const ended = once(child, 'close');
  if (!child.stdout) throw new Error('The child has no stdout');
  for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line);
  const [code] = await ended;
  if (code !== 0) throw new Error(`${script} ended with status ${code}`);
}

async function firstOf(child: ChildProcess, count: number): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const line of linesOf(child)) if (found.push(line) === count) break;
  return found;
}

async function last(child: ChildProcess): Promise<unknown> {
  let found: unknown;
  for await (const line of linesOf(child)) found = line;
  return found;
}
