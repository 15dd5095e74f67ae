/** The small base that the demo's chat job starts from: trained on Moby-Dick by the usual children, once. */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../lib/hash';
import { silentLogger } from '../lib/logger';
import { ResolvedParams } from '../protocol/job-params';
import { openTrainers, type Trainers } from '../runner/trainers';
import { writeMobyDick } from './moby-dick';

export interface DemoBase {
  /** A Hugging Face directory. */
  directory: string;
}

export interface DemoBaseOptions {
  /** Where it is kept, under a name that changes with what it is made from. */
  cacheDir: string;
  /** How long it is trained; part of the name. */
  steps?: number | undefined;
  report(line: string): void;
}

/** A minute of one core. */
const STEPS = 600;
const BATCH = 8;
const SHAPE = { layers: 4, heads: 4, width: 128, context: 128 };
/** With one thread every machine of a kind makes the same. */
const PLACE = { device: 'cpu', threads: 1, jobId: 'demo-base' } as const;
const MAX_BYTES = 2 ** 30;

/** Returns the base, made first where it is not there yet. */
export async function openDemoBase({ cacheDir, steps = STEPS, report }: DemoBaseOptions): Promise<DemoBase> {
  const params = ResolvedParams.parse({
    model: SHAPE,
    tokenizer: { type: 'bpe', vocabSize: 512 },
    epochs: 1,
    batch: BATCH,
    round: { steps },
    inner: { optimiser: 'muon', lr: 3e-3, muonLr: 0.02 },
    outer: { lr: 1, momentum: 0 },
    codec: 'fp32',
  });
  const directory = join(cacheDir, `demo-base-${sha256(JSON.stringify(params)).slice(0, 12)}`);
  if ((await stat(directory).catch(() => undefined))?.isDirectory()) return { directory };
  report('Making the base that the adapter is put on: a minute, once');
  const part = `${directory}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  const trainers = await openTrainers({ dir: part }, silentLogger);
  await rename(await make(trainers, params, part, steps), directory);
  await rm(part, { recursive: true, force: true });
  return { directory };
}

/** Trains in one lease of one round, and returns the directory with the result. */
async function make(trainers: Trainers, params: ResolvedParams, dir: string, steps: number): Promise<string> {
  const [workDir, dataset] = [join(dir, 'work'), await writeMobyDick(dir)];
  await using coordinator = trainers.open({ kind: 'coordinate', ...PLACE, params, workDir });
  const { prepared } = await coordinator.run({ type: 'prepare', dataset, maxBytes: MAX_BYTES }, 'prepared');
  const { theta } = await coordinator.run({ type: 'init', out: join(workDir, 'theta-0') }, 'initialised');
  const { shard } = await coordinator.run({ type: 'cut', start: 0, end: steps, out: join(workDir, 'shard') }, 'cut');
  const facts = { vocabSize: prepared.vocabSize, totalBlocks: steps, microBatch: BATCH };
  await using worker = trainers.open({ kind: 'train', ...PLACE, params, ...facts, workDir: join(dir, 'worker') });
  const lease = { round: 0, start: 0, shard: shard.path, theta: { path: theta.path, sha256: theta.sha256 } };
  const out = join(dir, 'worker', 'update');
  const { update, tokens } = await worker.run({ type: 'round.run', ...lease, out }, 'round.done');
  const folded = await coordinator.run(
    {
      type: 'fold',
      theta: theta.path,
      updates: [{ path: update.path, weight: tokens }],
      scale: 1,
      thetaOut: join(workDir, 'theta-1'),
      outerOut: join(workDir, 'outer'),
      deltaOut: join(workDir, 'delta'),
    },
    'folded',
  );
  const directory = join(workDir, 'model');
  await coordinator.run({ type: 'export', theta: folded.theta.path, directory, card: {}, curve: [] }, 'exported');
  return directory;
}
