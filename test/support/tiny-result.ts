/** A finished job of real Python, made on the spot: what its master and workers would have left. */

import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from '../../src/blobs/blob-store';
import type { Sha256 } from '../../src/domain/ids';
import { lossCurve } from '../../src/domain/loss-curve';
import { silentLogger } from '../../src/lib/logger';
import type { ResolvedParams } from '../../src/protocol/job-params';
import { Manifest } from '../../src/protocol/manifest';
import type { FileRef, TrainerSpec } from '../../src/protocol/trainer';
import type { ReplayChild } from '../../src/replay/children';
import { openTrainer, type Trainer } from '../../src/runner/trainer';
import { openTestCoordinator, type TestCoordinator } from './coordinator';
import { honestManifest } from './manifest';
import { openScratch } from './scratch';
import { testPython, tinyParams } from './tiny-job';

/** How many blocks each lease has, and how many leases and rounds there are. */
const BLOCKS = 20;
const LEASES = 2;
const ROUNDS = 3;

/** Changes an update before it is folded, as its worker might have. Gets the bytes of the file. */
export type Forge = (bytes: Buffer, lease: { round: number; start: number }) => Buffer;

export interface TinyResults extends AsyncDisposable {
  readonly dir: string;
  readonly blobs: BlobStore;
  readonly dataset: string;
  /** Trains the job, and folds and exports as an honest master does. */
  train(forge?: Forge): Promise<Manifest>;
  /** Children that are already running; closing them has no effect. */
  openChild(spec: TrainerSpec): ReplayChild;
}

/** Without compression, a test can read and write the numbers of an update. */
const plainParams: ResolvedParams = { ...tinyParams, codec: 'fp32', minGain: 0.05 };

/** Opens the children with which results are made and repeated; they are shared: each start takes seconds. */
export async function openTinyResults(params = plainParams, base?: string): Promise<TinyResults> {
  const scratch = await openScratch();
  const coordinator = await openTestCoordinator(scratch.path, params, base);
  const trainer = openTrainer({ ...trainSpec(coordinator), base }, { python: testPython, logger: silentLogger });
  const blobs = new BlobStore(scratch.file('blobs'));
  return {
    dir: scratch.path,
    blobs,
    dataset: scratch.file('data.txt'),
    train: (forge) => trainAll({ coordinator, trainer, blobs }, forge ?? ((bytes) => bytes)),
    openChild({ kind }) {
      const child = kind === 'train' ? trainer : coordinator.child;
      return {
        ready: child.ready,
        run: (command, answer, onProgress) => child.run(command, answer, onProgress),
        [Symbol.asyncDispose]: async () => {},
      };
    },
    async [Symbol.asyncDispose]() {
      await trainer[Symbol.asyncDispose]();
      await coordinator[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

function trainSpec({ dir, params, prepared }: TestCoordinator) {
  const { vocabSize } = prepared;
  const job = { jobId: 'test', params, vocabSize, totalBlocks: ROUNDS * LEASES * BLOCKS, microBatch: params.batch };
  return { kind: 'train' as const, device: 'cpu', threads: 1, workDir: join(dir, 'worker'), ...job };
}

interface Parts {
  coordinator: TestCoordinator;
  trainer: Trainer;
  blobs: BlobStore;
}

async function trainAll(parts: Parts, forge: Forge): Promise<Manifest> {
  const { coordinator, blobs } = parts;
  const { child, dir } = coordinator;
  const rounds: Manifest['rounds'] = [];
  const first = join(dir, 'theta-r0');
  await copyFile(coordinator.theta.path, first);
  let theta: FileRef = { ...coordinator.theta, path: first, sha256: coordinator.theta.sha256 as Sha256 };
  let outer: string | undefined;
  const start = await lossOf(coordinator, theta);
  for (let round = 0; round < ROUNDS; round++) {
    const leases = await trainRound(parts, round, theta, forge);
    const folded = await child.run(
      {
        type: 'fold',
        theta: theta.path,
        ...(outer ? { outer } : {}),
        updates: leases.map(({ update, tokens }) => ({ path: blobs.path(update), weight: tokens })),
        scale: 1,
        thetaOut: join(dir, `theta-r${round + 1}`),
        outerOut: join(dir, `outer-r${round + 1}`),
        deltaOut: join(dir, `delta-r${round + 1}`),
      },
      'folded',
    );
    rounds.push({
      round,
      theta: theta.sha256,
      nextTheta: folded.theta.sha256,
      delta: folded.delta.sha256,
      scale: 1,
      leases: leases.map((lease, i) => ({ ...lease, weight: folded.weights[i] ?? 0, deviceKind: 'cpu' })),
    });
    theta = folded.theta;
    outer = folded.outer.path;
  }
  const losses = { start, end: await lossOf(coordinator, theta) };
  return describe(coordinator, theta, rounds, losses);
}

async function trainRound({ coordinator, trainer, blobs }: Parts, round: number, theta: FileRef, forge: Forge) {
  const leases = [];
  const workers = honestManifest().payouts.slice(1);
  for (let i = 0; i < LEASES; i++) {
    const start = (round * LEASES + i) * BLOCKS;
    const shard = await coordinator.cut(start, start + BLOCKS);
    const out = join(coordinator.dir, 'update');
    const source = { path: theta.path, sha256: theta.sha256 };
    const command = { type: 'round.run' as const, round, start, shard: shard.path, theta: source, out };
    const { tokens, loss, endTheta } = await trainer.run(command, 'round.done');
    await writeFile(out, forge(await readFile(out), { round, start }));
    const update = await blobs.add(out, { move: true });
    const worker = workers[i]?.worker ?? '';
    const facts = { start, end: start + BLOCKS, shard: shard.sha256, endTheta, tokens, loss };
    leases.push({ ...honestLease(), ...facts, worker, update: update.sha256 });
  }
  return Manifest.shape.rounds.element.shape.leases.parse(leases);
}

/** What a lease says besides the facts of its training. */
function honestLease() {
  const lease = honestManifest().rounds[0]?.leases[0];
  if (!lease) throw new Error('The honest manifest has no lease');
  return lease;
}

async function lossOf({ child }: TestCoordinator, theta: FileRef): Promise<number> {
  const command = { type: 'evaluate' as const, model: { theta: theta.path }, maxSequences: 0 };
  return (await child.run(command, 'evaluated')).loss;
}

async function describe(
  { child, dir, params, prepared }: TestCoordinator,
  theta: FileRef,
  rounds: Manifest['rounds'],
  validationLoss: Manifest['validationLoss'],
): Promise<Manifest> {
  const directory = join(dir, 'model');
  const card = { made: 'by a test' };
  const curve = lossCurve({ rounds, validationLoss });
  const command = { type: 'export' as const, theta: theta.path, directory, card, curve };
  const { files } = await child.run(command, 'exported');
  await rm(directory, { recursive: true });
  const totalBlocks = ROUNDS * LEASES * BLOCKS;
  return Manifest.parse({
    ...honestManifest(),
    params,
    prepared,
    totalBlocks,
    rounds,
    validationLoss,
    model: files,
    fuelUsed: totalBlocks * prepared.blockTokens,
  });
}
