/** The judge: what it fetches and has repeated, and which failures reject. */
import { readFile } from 'node:fs/promises';
import type { Sha256 } from '../../../src/domain/ids';
import { AppError } from '../../../src/lib/errors';
import { sha256 } from '../../../src/lib/hash';
import type { ManifestIn } from '../../../src/protocol/manifest';
import type { Difference } from '../../../src/replay/difference';
import type { ReplayReport } from '../../../src/replay/replay';
import { type JudgeDeps, type JudgedReplay, judge, type ResultVerdict } from '../../../src/verifier/judge';
import { openJudging } from '../../support/judging';
import { honestManifest, submittedJob, testDataset } from '../../support/manifest';
import { plannedParams } from '../../support/planned-params';

const report: ReplayReport = {
  theta: sha256('end') as Sha256,
  rounds: 2,
  leases: [],
  losses: { start: 5.5, end: 2.505 },
};
const difference: Difference = {
  code: 'verdict/fold',
  reason: 'round 1 folds to other weights',
  round: 1,
  expected: 'a',
  got: 'b',
};

async function judgeWith(
  replaced: Partial<JudgeDeps> = {},
  manifest: ManifestIn = honestManifest(),
  job = submittedJob(manifest),
): Promise<ResultVerdict> {
  await using judging = await openJudging(manifest, replaced);
  return await judge(job, { dataDir: judging.dir, tolerance: 0.01 }, judging.deps);
}

const failing = (code: string) => () => Promise.reject(new AppError({ code }, `It failed with ${code}.`));

test('honest result: fetched, repeated and accepted', async () => {
  const seen: JudgedReplay[] = [];
  const verdict = await judgeWith({
    async replay(options) {
      expect(await readFile(options.dataset)).toEqual(testDataset);
      seen.push(options);
      return report;
    },
  });
  expect(verdict).toEqual({ kind: 'accept', loss: 2.505 });
  expect(seen).toMatchObject([{ manifest: { jobId: submittedJob().jobId, totalBlocks: 10 }, lossTolerance: 0.01 }]);
});

test('draw: leases follow from the seed, at least three of them', async () => {
  const draw = async (seed: string) => {
    const drawn: number[] = [];
    await judgeWith({
      drawSeed: async () => seed,
      async replay({ manifest, isRedone }) {
        for (const { round, leases } of manifest.rounds)
          for (const lease of leases) if (isRedone({ ...lease, round })) drawn.push(lease.start);
        return report;
      },
    });
    return drawn;
  };
  const draws = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(draw));
  expect(draws.every((drawn) => drawn.length === 3)).toBe(true);
  expect(new Set(draws.map(String)).size).toBeGreaterThan(1);
  expect(await draw('a')).toEqual(draws[0]);
});

test('replay comes out differently: rejected with what and where', async () => {
  expect(await judgeWith({ replay: async () => ({ ...report, difference }) })).toEqual({
    kind: 'reject',
    ...difference,
  });
});

test.each([-1, 1])('file size off by %i: verdict/model-files', async (off) => {
  const manifest = honestManifest();
  manifest.model[0]!.bytes += off;
  const remote: Partial<JudgeDeps> = {
    async fetch(name, maxBytes) {
      const bytes = manifest.model.find((file) => file.sha256 === name)?.name === 'config.json' ? 21 : 7;
      if (maxBytes < bytes) throw new AppError({ code: 'blobs/too-large' }, 'It is too large.');
      return { bytes };
    },
  };
  expect(await judgeWith(remote, manifest)).toMatchObject({ kind: 'reject', code: 'verdict/model-files' });
});

test('flaw in the manifest: rejected before anything large is fetched', async () => {
  const manifest = honestManifest();
  manifest.totalBlocks += 1;
  const verdict = await judgeWith({ fetchDataset: failing('test/fetched') }, manifest);
  expect(verdict).toMatchObject({ kind: 'reject', code: 'verdict/ledger' });
});

test('manifest or model file absent: unknown, absent', async () => {
  const absent = { kind: 'unknown', missing: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) };
  const nowhere = { ...submittedJob(), resultHash: `0x${'00'.repeat(32)}` };
  expect(await judgeWith({}, honestManifest(), nowhere)).toMatchObject(absent);
  const manifest = honestManifest();
  manifest.model[0]!.sha256 = sha256('never stored');
  expect(await judgeWith({}, manifest)).toMatchObject(absent);
});

test('update of the result absent: unknown, absent', async () => {
  const name = sha256('update');
  const replay = () => Promise.reject(new AppError({ code: 'blobs/not-stored', sha256: name }, 'It is not there.'));
  expect(await judgeWith({ replay })).toMatchObject({ kind: 'unknown', missing: `sha256:${name}` });
});

test.each<[string, Partial<JudgeDeps>]>([
  ['storage unreachable', { fetch: failing('blobs/storage-unreachable') }],
  ['disk full', { fetch: failing('blobs/disk-full') }],
  ['data set not available', { fetchDataset: failing('dataset/missing') }],
  ['data set over the limit', { fetchDataset: failing('dataset/too-large') }],
  ['data set changed on its server', { fetchDataset: async () => ({ sha256: sha256('new') as Sha256, bytes: 3 }) }],
  ['Python child killed', { replay: failing('runner/child-crashed') }],
  ['Python child cannot read the disk', { replay: failing('data/io') }],
  ['no Python', { replay: () => Promise.reject(new Error('ENOENT')) }],
  ['seed not final yet', { drawSeed: failing('chain/block-not-final') }],
])('%s: unknown, no rejection', async (_name, replaced) => {
  expect(await judgeWith(replaced)).toMatchObject({ kind: 'unknown', missing: undefined });
});

describe('job with a base', () => {
  const list = sha256('list') as Sha256;
  const base = {
    reference: `sha256:${list}`,
    list,
    size: { parameters: 1000, trainable: 100, baseBytes: 5000, layers: 1, width: 16, hidden: 64 },
  };
  const asked = { tune: 'lora', base: base.reference, model: { context: 16 }, batch: 4, round: { steps: 4 } };
  const judgeBase = (replaced: Partial<JudgeDeps>) => {
    const params = plannedParams({ ...asked, epochs: 1 });
    const manifest = { ...honestManifest(), params, base };
    const job = { ...submittedJob(manifest), params: JSON.stringify(asked) };
    return judgeWith(replaced, manifest, job);
  };

  test('default: fetched, handed to the replay, and given back', async () => {
    const seen: unknown[] = [];
    const verdict = await judgeBase({
      openBase: async (wanted) => {
        seen.push(wanted);
        return { path: '/bases/list', [Symbol.dispose]: () => void seen.push('given back') };
      },
      async replay(options) {
        seen.push(options.base);
        return report;
      },
    });
    expect(verdict.kind).toBe('accept');
    expect(seen).toEqual([base, '/bases/list', 'given back']);
  });

  test.each(['base/bad-list', 'base/other-files'])('%s: rejected', async (code) => {
    expect(await judgeBase({ openBase: failing(code) })).toMatchObject({ kind: 'reject', code: 'verdict/base' });
  });

  test.each(['base/no-room', 'base/hub-away', 'base/missing', 'ENOSPC'])('%s: no verdict', async (code) => {
    expect(await judgeBase({ openBase: failing(code) })).toMatchObject({ kind: 'unknown', missing: undefined });
  });
});
