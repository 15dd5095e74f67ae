/** Replays of a tiny job with real Python: an honest result holds, and each false claim is found. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from '../../../src/blobs/blob-store';
import { leaseKey } from '../../../src/domain/audit';
import type { Sha256 } from '../../../src/domain/ids';
import { AppError } from '../../../src/lib/errors';
import { sha256 } from '../../../src/lib/hash';
import type { Manifest } from '../../../src/protocol/manifest';
import { type ReplayOptions, type ReplayProgress, replayJob } from '../../../src/replay/replay';
import { type Forge, openTinyResults, type TinyResults } from '../../support/tiny-result';

// Python is started twice for all tests; each replay takes about a second.
jest.setTimeout(120_000);

let results: TinyResults;
let honest: Manifest;
beforeAll(async () => {
  results = await openTinyResults();
  honest = await results.train();
});
afterAll(() => results[Symbol.asyncDispose]());

interface Replayed {
  progress: ReplayProgress[];
  /** Blobs that were fetched and not removed. */
  left: Sha256[];
}

/** Repeats a manifest from the stored blobs. */
async function replay(manifest: Manifest, options: Partial<ReplayOptions> = {}) {
  const { dir, blobs, dataset, openChild } = results;
  const seen: Replayed = { progress: [], left: [] };
  const own = new BlobStore(join(dir, 'own'));
  const workDir = join(dir, 'replay');
  const report = await replayJob(
    {
      manifest,
      dataset,
      workDir,
      device: 'cpu',
      threads: 1,
      maxDatasetBytes: 1 << 20,
      isRedone: () => false,
      redoAtOnce: false,
      lossTolerance: 0.01,
      ...options,
    },
    {
      openChild,
      onProgress: (progress) => seen.progress.push(progress),
      blobs: {
        async fetch(name) {
          if (!(await blobs.stat(name))) throw new AppError({ code: 'blobs/not-stored' }, `There is no blob ${name}.`);
          if (!seen.left.includes(name)) seen.left.push(name);
          return own.add(blobs.path(name), { move: false });
        },
        path: (name) => own.path(name),
        async remove(name) {
          seen.left = seen.left.filter((other) => other !== name);
          await own.remove(name);
        },
      },
    },
  );
  expect(existsSync(workDir)).toBe(false);
  return { ...report, ...seen };
}

const starts = (manifest: Manifest) =>
  manifest.rounds.flatMap(({ round, leases }) => leases.map(({ start }) => leaseKey({ round, start })));

/** A copy that a test may change. */
function changed(change: (manifest: Manifest) => void): Manifest {
  const copy = structuredClone(honest);
  change(copy);
  return copy;
}

describe('honest result', () => {
  test('folds and losses: every θ is equal, nothing is left on disk', async () => {
    const report = await replay(honest);
    expect(report.difference).toBeUndefined();
    expect(report).toMatchObject({ rounds: 3, theta: honest.rounds[2]?.nextTheta, left: [] });
    expect(report.losses).toEqual(honest.validationLoss);
  });

  test.each([true, false])('every lease done again (at once: %s): equal bit for bit', async (redoAtOnce) => {
    const report = await replay(honest, { isRedone: () => true, redoAtOnce });
    expect(report.difference).toBeUndefined();
    expect(report.leases.map(({ name, distance, isWithin }) => [name, distance, isWithin])).toEqual(
      starts(honest).map((name) => [name, 0, true]),
    );
    const steps = report.progress.map(({ step }) => step);
    // Done afterwards, no lease is paid for in computing before all folds are found right.
    expect(steps.indexOf('lease') < steps.lastIndexOf('fold')).toBe(redoAtOnce);
    expect(report.left).toEqual([]);
  });

  test('one lease asked for: only its rounds are repeated', async () => {
    const report = await replay(honest, { isRedone: ({ start }) => start === 60, lastRound: 1 });
    expect(report).toMatchObject({ rounds: 2, leases: [{ name: '1:60', distance: 0 }] });
    expect([report.difference, report.losses]).toEqual([undefined, undefined]);
  });
});

describe('false claim', () => {
  const lease = (manifest: Manifest, round: number, i = 0) => manifest.rounds[round]!.leases[i]!;

  test('other update stored: the fold of its round differs', async () => {
    const manifest = changed((m) => (lease(m, 1).update = lease(m, 0).update));
    expect((await replay(manifest)).difference).toMatchObject({ code: 'verdict/fold', round: 1 });
  });

  test('other weight: found with its lease', async () => {
    const manifest = changed((m) => (lease(m, 2, 1).weight += 1e-5));
    const { difference } = await replay(manifest);
    expect(difference).toMatchObject({ code: 'verdict/fold-weight', round: 2, lease: { start: 100 } });
  });

  test('model exchanged: found whether its θ is claimed or not', async () => {
    const swapped = sha256('another model') as Sha256;
    const swap = (m: Manifest) => {
      const weights = m.model.find(({ name }) => name === 'model.safetensors');
      Object.assign(weights ?? {}, { sha256: swapped });
    };
    expect((await replay(changed(swap))).difference).toMatchObject({ code: 'verdict/model-files' });
    const claimed = changed((m) => {
      swap(m);
      m.rounds[2]!.nextTheta = swapped;
    });
    expect((await replay(claimed)).difference).toMatchObject({ code: 'verdict/fold', round: 2, got: swapped });
  });

  test.each<[string, string, (manifest: Manifest) => unknown]>([
    ['first weights', 'verdict/first-weights', (m) => (m.rounds[0]!.theta = sha256('x') as Sha256)],
    ['seed', 'verdict/first-weights', (m) => (m.rounds[0]!.theta = m.rounds[1]!.theta)],
    ['shard', 'verdict/shard', (m) => (lease(m, 1, 1).shard = sha256('x') as Sha256)],
    ['delta', 'verdict/fold', (m) => (m.rounds[0]!.delta = m.rounds[1]!.delta)],
    ['scale', 'verdict/fold', (m) => (m.rounds[1]!.scale = 0.5)],
    ['outer state given up', 'verdict/fold', (m) => (m.rounds[1]!.resetsOuter = true)],
    ['split of the data', 'verdict/data-root', (m) => (m.prepared.dataRoot = sha256('x') as Sha256)],
    ['loss at the start', 'verdict/loss', (m) => (m.validationLoss.start += 0.1)],
    ['loss at the end', 'verdict/loss', (m) => (m.validationLoss.end -= 0.1)],
  ])('%s: %s', async (_what, code, change) => {
    expect((await replay(changed(change))).difference).toMatchObject({ code });
  });

  test('update that is no update, or not finite: found with its lease', async () => {
    const infinite = (bytes: Buffer) => writeFloats(bytes, () => Number.POSITIVE_INFINITY);
    for (const bytes of [Buffer.from('no tensors'), await readForged(infinite)]) {
      const { sha256: name } = await results.blobs.addBytes(bytes);
      const manifest = changed((m) => (lease(m, 1, 1).update = name));
      const { difference } = await replay(manifest);
      expect(difference).toMatchObject({ code: 'verdict/update', round: 1, lease: { start: 60 }, got: name });
    }
  });

  test('update that was never stored: no finding, but an error', async () => {
    const manifest = changed((m) => (lease(m, 1).update = sha256('never stored') as Sha256));
    await expect(replay(manifest)).rejects.toMatchObject({ code: 'blobs/not-stored' });
  });

  async function readForged(forge: Forge): Promise<Buffer> {
    return forge(await readFile(results.blobs.path(lease(honest, 1, 1).update)), { round: 1, start: 60 });
  }
});

describe('useless work that master and worker agree on', () => {
  test('θ never moves: no gain', async () => {
    const manifest = await results.train((bytes) => writeFloats(bytes, () => 0));
    expect(new Set(manifest.rounds.map(({ nextTheta }) => nextTheta)).size).toBe(1);
    expect((await replay(manifest)).difference).toMatchObject({ code: 'verdict/no-gain' });
  });

  test('loss rises: no gain', async () => {
    const manifest = await results.train((bytes) => writeFloats(bytes, (value) => -3 * value));
    expect(manifest.validationLoss.end).toBeGreaterThan(manifest.validationLoss.start);
    expect((await replay(manifest)).difference).toMatchObject({ code: 'verdict/no-gain' });
  });

  test('one lease scaled by 1 %: found when it is done again, with its distance', async () => {
    const scale: Forge = (bytes, { start }) => (start === 60 ? writeFloats(bytes, (value) => 1.01 * value) : bytes);
    const manifest = await results.train(scale);
    const drawn = await replay(manifest, { isRedone: ({ start }) => start === 60 });
    expect(drawn.difference).toMatchObject({ code: 'verdict/lease', round: 1, lease: { start: 60 } });
    const full = await replay(manifest, { isRedone: () => true, redoAtOnce: true });
    expect(full.leases.filter(({ isWithin }) => !isWithin).map(({ name }) => name)).toEqual(['1:60']);
    expect(full.leases.find(({ name }) => name === '1:60')?.distance).toBeCloseTo(0.01, 4);
    expect(full.difference).toEqual(drawn.difference);
    manifest.rounds[1]!.leases[1]!.isRefuted = true;
    const refuted = await replay(manifest, { isRedone: () => true, redoAtOnce: true });
    expect([refuted.difference, refuted.leases.length]).toEqual([undefined, 5]);
    const audited = await replay(calledDifferent(manifest, 1, 60), { isRedone: () => true, redoAtOnce: true });
    expect(audited.difference).toBeUndefined();
    expect(audited.leases.find(({ name }) => name === '1:60')).toMatchObject({ isWithin: false, isFailed: true });
  });

  test.each(['nothing', 'the update of another'])(
    'node credits its own key with %s: found when done again',
    async (what) => {
      let others = Buffer.alloc(0);
      const credit: Forge = (bytes, { start }) => {
        if (start === 40) others = Buffer.from(bytes);
        if (start !== 60) return bytes;
        return what === 'nothing' ? writeFloats(bytes, () => 0) : others;
      };
      const manifest = await results.train(credit);
      expect((await replay(manifest)).difference).toBeUndefined();
      const { difference } = await replay(manifest, { isRedone: ({ start }) => start === 60 });
      expect(difference).toMatchObject({ code: 'verdict/lease', round: 1, lease: { start: 60 } });
    },
  );

  test('honest lease that the node calls other work: found when it is done again', async () => {
    const { difference } = await replay(calledDifferent(honest, 1, 60), { isRedone: ({ start }) => start === 60 });
    expect(difference).toMatchObject({ code: 'verdict/audit', round: 1, lease: { start: 60 } });
  });
});

/** The same manifest with an audit by the node itself that refutes a lease. */
function calledDifferent(manifest: Manifest, round: number, start: number): Manifest {
  const copy = structuredClone(manifest);
  const lease = copy.rounds[round]!.leases.find((one) => one.start === start)!;
  lease.isRefuted = true;
  const { node: auditor } = copy;
  const { update, tokens } = lease;
  copy.audits.push({ round, start, auditor, update, tokens, distance: 1, outcome: 'different' });
  return copy;
}

/** Changes every number of a file of F32 tensors. */
function writeFloats(bytes: Buffer, change: (value: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  for (let at = 8 + Number(copy.readBigUInt64LE(0)); at < copy.length; at += 4) {
    copy.writeFloatLE(change(copy.readFloatLE(at)), at);
  }
  return copy;
}
