/**
 * Measures what the walls around a Python child cost: tokens per second and start, beside those of a bare
 * child. One child of each kind trains short rounds in turn, and so do starts of children that need no
 * PyTorch; told are medians over the pairs, which meet the same load.
 *
 *     npm run bench:sandbox -- [--rounds 60] [--starts 40]
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { silentLogger as logger } from '../../src/lib/logger';
import { shutIn, type Trainers } from '../../src/runner/trainers';
import { plannedParams } from '../../test/support/planned-params';
import { openScratch } from '../../test/support/scratch';
import { realPython, tinyText } from '../../test/support/tiny-job';
import { median, printReport, rowOf } from './report';

const BATCH = 8;
const params = plannedParams({
  model: { layers: 4, heads: 4, width: 128, context: 128 },
  epochs: 1,
  batch: BATCH,
  round: { steps: 1000 },
});
const machine = { device: 'cpu', threads: 1 } as const;
const job = { jobId: 'bench', params };

const STEPS = 12;

type Kinds = Record<'bare' | 'shut', Trainers>;
type Pair = Record<keyof Kinds, number>;

async function measure(rounds: number, starts: number): Promise<void> {
  await using scratch = await openScratch();
  const kinds: Kinds = {
    bare: await shutIn(realPython, { dir: scratch.path, sandbox: 'off' }, logger),
    shut: await shutIn(realPython, { dir: scratch.path, sandbox: 'require' }, logger),
  };
  const speeds = await pairSpeeds(kinds, scratch.path, rounds);
  const times = await inTurn(starts, (kind) => timeStart(kinds[kind], scratch.path));
  const rows = [
    beside('tokens of a child behind walls ÷ bare', speeds, 'tokens/s'),
    beside('start of a child behind walls ÷ bare', times, 'ms'),
  ];
  printReport(rows, { rounds, starts });
}

/** The median ratio of the pairs, and where their middle half lies: how much the load disturbed them. */
function beside(name: string, pairs: readonly Pair[], unit: string) {
  const ratios = pairs.map(({ bare, shut }) => shut / bare).toSorted((a, b) => a - b);
  const middleHalf = [0.25, 0.75].map((part) => round(ratios[Math.floor(part * (ratios.length - 1))] ?? 0, 4));
  const [ours, theirs] = [median(pairs.map(({ shut }) => shut)), median(pairs.map(({ bare }) => bare))];
  return rowOf({ name, bar: '', ratio: median(ratios), ours, theirs, unit }, { middleHalf });
}

/** Does the work once for each kind, `count` times; the kind that comes first changes. */
async function inTurn(count: number, work: (kind: keyof Kinds) => Promise<number>): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let i = 0; i < count; i += 1) {
    const order = i % 2 === 0 ? (['bare', 'shut'] as const) : (['shut', 'bare'] as const);
    const pair: Partial<Pair> = {};
    for (const kind of order) pair[kind] = await work(kind);
    pairs.push(pair as Pair);
  }
  return pairs;
}

async function pairSpeeds(kinds: Kinds, dir: string, rounds: number): Promise<Pair[]> {
  const files = await prepare(kinds.shut, dir);
  const facts = { vocabSize: 256, totalBlocks: STEPS, microBatch: BATCH };
  const open = (kind: keyof Kinds) =>
    kinds[kind].open({ kind: 'train', ...machine, ...job, workDir: `${dir}/${kind}`, ...facts });
  await using bare = open('bare');
  await using shut = open('shut');
  const children = { bare, shut };
  const run = async (kind: keyof Kinds) => {
    const command = { type: 'round.run', round: 0, start: 0, ...files, out: `${dir}/${kind}/update` } as const;
    const { tokens, seconds } = await children[kind].run(command, 'round.done');
    return tokens / seconds;
  };
  await inTurn(2, run);
  return await inTurn(rounds, run);
}

/** Milliseconds from the start of a child to the answer that it was started for. */
async function timeStart(trainers: Trainers, dir: string): Promise<number> {
  const startedMs = performance.now();
  const data = { params, dataset: `${dir}/data.txt`, maxBytes: 2 ** 30 };
  await using child = trainers.open({ kind: 'count', ...machine, workDir: `${dir}/count`, ...data });
  await child.next('counted');
  return performance.now() - startedMs;
}

/** Writes a shard and weights for all rounds. */
async function prepare(trainers: Trainers, dir: string) {
  const workDir = `${dir}/job`;
  await writeFile(`${dir}/data.txt`, tinyText(64));
  await using child = trainers.open({ kind: 'coordinate', ...machine, ...job, workDir });
  await child.run({ type: 'prepare', dataset: `${dir}/data.txt`, maxBytes: 2 ** 30 }, 'prepared');
  const { theta } = await child.run({ type: 'init', out: `${workDir}/theta` }, 'initialised');
  const { shard } = await child.run({ type: 'cut', start: 0, end: STEPS, out: `${workDir}/shard` }, 'cut');
  return { theta: { path: theta.path, sha256: theta.sha256 }, shard: shard.path };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '60' }, starts: { type: 'string', default: '40' } },
});
void measure(Number(values.rounds), Number(values.starts));
