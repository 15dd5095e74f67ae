/**
 * Measures what the walls around a Python child cost: tokens per second and start, beside those of a bare
 * child. The two take turns, so that both meet the same load; told are medians over the pairs.
 *
 *     npx ts-node --swc scripts/bench/sandbox.ts [--pairs 9] [--steps 60]
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { silentLogger as logger } from '../../src/lib/logger';
import { ResolvedParams } from '../../src/protocol/job-params';
import { shutIn, type Trainers } from '../../src/runner/trainers';
import { openScratch } from '../../test/support/scratch';
import { realPython, tinyText } from '../../test/support/tiny-job';

const BATCH = 8;
const params = ResolvedParams.parse({
  model: { layers: 4, heads: 4, width: 128, context: 128 },
  epochs: 1,
  batch: BATCH,
  round: { steps: 1000 },
});
const machine = { device: 'cpu', threads: 1 } as const;
const job = { jobId: 'bench', params };

interface Run {
  startMs: number;
  tokensPerSecond: number;
}

async function measure(pairs: number, steps: number): Promise<void> {
  await using scratch = await openScratch();
  const kinds = {
    bare: await shutIn(realPython, { dir: scratch.path, sandbox: 'off' }, logger),
    shut: await shutIn(realPython, { dir: scratch.path, sandbox: 'require' }, logger),
  };
  const work = await prepare(kinds.shut, scratch.path, steps);
  const run = (kind: keyof typeof kinds) => runOnce(kinds[kind], scratch.file(kind), work);
  await run('bare');
  const runs: Record<'bare' | 'shut', Run>[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    const isFirst = pair % 2 === 0;
    const first = await run(isFirst ? 'bare' : 'shut');
    const second = await run(isFirst ? 'shut' : 'bare');
    runs.push(isFirst ? { bare: first, shut: second } : { bare: second, shut: first });
  }
  const report = {
    cores: cpus().length,
    pairs,
    tokensPerSecond: {
      bare: Math.round(median(runs.map(({ bare }) => bare.tokensPerSecond))),
      shut: Math.round(median(runs.map(({ shut }) => shut.tokensPerSecond))),
    },
    speedRatio: round(median(runs.map(({ bare, shut }) => shut.tokensPerSecond / bare.tokensPerSecond)), 4),
    startMs: {
      bare: Math.round(median(runs.map(({ bare }) => bare.startMs))),
      shut: Math.round(median(runs.map(({ shut }) => shut.startMs))),
    },
    moreStartMs: round(median(runs.map(({ bare, shut }) => shut.startMs - bare.startMs)), 1),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

/** Writes a shard and weights for every run. */
async function prepare(trainers: Trainers, dir: string, steps: number) {
  const workDir = `${dir}/job`;
  await writeFile(`${dir}/data.txt`, tinyText(Math.ceil((steps * BATCH * 128 * 1.3) / 1024) + 64));
  await using child = trainers.open({ kind: 'coordinate', ...machine, ...job, workDir });
  await child.run({ type: 'prepare', dataset: `${dir}/data.txt`, maxBytes: 2 ** 30 }, 'prepared');
  const { theta } = await child.run({ type: 'init', out: `${workDir}/theta` }, 'initialised');
  const { shard } = await child.run({ type: 'cut', start: 0, end: steps, out: `${workDir}/shard` }, 'cut');
  return { theta: { path: theta.path, sha256: theta.sha256 }, shard: shard.path, steps };
}

async function runOnce(
  trainers: Trainers,
  workDir: string,
  { steps, ...files }: Awaited<ReturnType<typeof prepare>>,
): Promise<Run> {
  const startedMs = performance.now();
  const facts = { vocabSize: 256, totalBlocks: steps, microBatch: BATCH };
  await using child = trainers.open({ kind: 'train', ...machine, ...job, workDir, ...facts });
  await child.ready;
  const startMs = performance.now() - startedMs;
  const round = { type: 'round.run', round: 0, start: 0, ...files, out: `${workDir}/update` } as const;
  const { tokens, seconds } = await child.run(round, 'round.done');
  return { startMs, tokensPerSecond: tokens / seconds };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

const { values } = parseArgs({
  options: { pairs: { type: 'string', default: '9' }, steps: { type: 'string', default: '60' } },
});
void measure(Number(values.pairs), Number(values.steps));
