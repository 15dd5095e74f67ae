/** The judge: what it fetches and evaluates, and which failures reject. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../../../src/domain/ids';
import { AppError } from '../../../src/lib/errors';
import { sha256 } from '../../../src/lib/hash';
import type { ManifestIn } from '../../../src/protocol/manifest';
import type { Prepared } from '../../../src/protocol/trainer';
import { type JudgeDeps, judge, type ResultVerdict } from '../../../src/verifier/judge';
import { openJudging } from '../../support/judging';
import { honestManifest, submittedJob, testDataset, testModel } from '../../support/manifest';

const prepared = honestManifest().prepared as Prepared;

async function judgeWith(
  replaced: Partial<JudgeDeps> = {},
  manifest: ManifestIn = honestManifest(),
  job = submittedJob(manifest),
): Promise<ResultVerdict> {
  await using judging = await openJudging(manifest, replaced);
  const verdict = await judge(job, { dataDir: judging.dir, tolerance: 0.01 }, judging.deps);
  expect(existsSync(join(judging.dir, 'jobs', job.jobId))).toBe(false);
  return verdict;
}

const failing = (code: string) => () => Promise.reject(new AppError({ code }, `It failed with ${code}.`));

test('honest result: fetched, evaluated and accepted', async () => {
  const seen: unknown[] = [];
  const verdict = await judgeWith({
    async evaluate({ directory, dataset, params, jobId }) {
      for (const name of await readdir(directory))
        expect(await readFile(join(directory, name))).toEqual(testModel[name]);
      expect(await readFile(dataset)).toEqual(testDataset);
      seen.push(jobId, params);
      return { prepared, loss: 2.505 };
    },
  });
  expect(verdict).toEqual({ kind: 'accept', loss: 2.505 });
  expect(seen).toEqual([submittedJob().jobId, honestManifest().params]);
});

test.each<[string, Partial<JudgeDeps>]>([
  ['verdict/loss', { evaluate: async () => ({ prepared, loss: 2.52 }) }],
  ['verdict/loss', { evaluate: async () => ({ prepared, loss: 2.48 }) }],
  ['verdict/loss', { evaluate: async () => ({ prepared, loss: Number.NaN }) }],
  [
    'verdict/data-root',
    { evaluate: async () => ({ prepared: { ...prepared, dataRoot: sha256('x') as Sha256 }, loss: 2.5 }) },
  ],
  ['verdict/data-root', { evaluate: async () => ({ prepared: { ...prepared, epochBlocks: 11 }, loss: 2.5 }) }],
  ['verdict/model-unusable', { evaluate: failing('model/bad-file') }],
  ['verdict/model-unusable', { evaluate: failing('model/other-shape') }],
  ['verdict/model-unusable', { evaluate: failing('data/not-text') }],
])('bad evaluation %#: rejected with %s', async (code, replaced) => {
  expect(await judgeWith(replaced)).toMatchObject({ kind: 'reject', code });
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

test.each<[string, Partial<JudgeDeps>]>([
  ['storage unreachable', { fetch: failing('blobs/storage-unreachable') }],
  ['disk full', { fetch: failing('blobs/disk-full') }],
  ['data set not available', { fetchDataset: failing('dataset/missing') }],
  ['data set over the limit', { fetchDataset: failing('dataset/too-large') }],
  ['data set changed on its server', { fetchDataset: async () => ({ sha256: sha256('new') as Sha256, bytes: 3 }) }],
  ['Python child killed', { evaluate: failing('trainer/exited') }],
  ['Python child cannot read the disk', { evaluate: failing('data/io') }],
  ['no Python', { evaluate: () => Promise.reject(new Error('ENOENT')) }],
])('%s: unknown, no rejection', async (_name, replaced) => {
  expect(await judgeWith(replaced)).toMatchObject({ kind: 'unknown', missing: undefined });
});
