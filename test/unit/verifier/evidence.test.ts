/** The judge with a real storage: absent, forged and misdescribed evidence. */
import { writeFile } from 'node:fs/promises';
import { BlobStore } from '../../../src/blobs/blob-store';
import { fetchDataset } from '../../../src/blobs/dataset';
import { RemoteBlobs } from '../../../src/blobs/remote-blobs';
import type { Sha256 } from '../../../src/domain/ids';
import { AppError } from '../../../src/lib/errors';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import type { ManifestIn } from '../../../src/protocol/manifest';
import { type JudgeDeps, judge } from '../../../src/verifier/judge';
import { openJudging } from '../../support/judging';
import { honestManifest, submittedJob, testDataset, testModel } from '../../support/manifest';
import { openTestStorage, type TestStorage } from '../../support/storage';

const hash = (bytes: string | Uint8Array) => sha256(bytes) as Sha256;
const WEIGHTS = hash(testModel['model.safetensors']!);

/** Judges with everything fetched from a real storage, after `tamper` had its way there. */
async function judgeStored(
  tamper: (storage: TestStorage) => Promise<unknown> = async () => {},
  manifest: ManifestIn = honestManifest(),
  replaced: Partial<JudgeDeps> = {},
) {
  await using storage = await openTestStorage();
  await using judging = await openJudging(manifest, replaced);
  for (const bytes of [testDataset, Buffer.from(canonicalJson(manifest)), ...Object.values(testModel)]) {
    await storage.blobs.addBytes(bytes);
  }
  await tamper(storage);
  const own = new BlobStore(`${judging.dir}/own`);
  const remote = new RemoteBlobs(storage.url);
  const { pass } = storage;
  const dataset = { storages: [storage.url], allowPrivate: false, maxBytes: 10_000, allowFiles: false };
  return await judge(
    submittedJob(manifest),
    { dataDir: judging.dir, tolerance: 0.01 },
    {
      ...judging.deps,
      path: (name) => own.path(name),
      fetch: (name, maxBytes) => remote.download(name, own, maxBytes, { pass }),
      fetchDataset: (reference) => fetchDataset(reference, own, dataset, { pass }),
      ...replaced,
    },
  );
}

test('honest evidence in a real storage: accepted', async () => {
  expect(await judgeStored()).toEqual({ kind: 'accept', loss: 2.5 });
});

describe('absent', () => {
  test.each([
    ['the manifest', hash(canonicalJson(honestManifest()))],
    ['a file of the model', WEIGHTS],
  ])('%s not stored: unknown, absent', async (_what, name) => {
    expect(await judgeStored((storage) => storage.blobs.remove(name))).toMatchObject({
      kind: 'unknown',
      missing: `sha256:${name}`,
    });
  });

  test('other bytes under a name: unknown, absent', async () => {
    const forge = (storage: TestStorage) => writeFile(new BlobStore(storage.blobsDir).path(WEIGHTS), 'forgery');
    expect(await judgeStored(forge)).toMatchObject({ kind: 'unknown', missing: `sha256:${WEIGHTS}` });
  });

  test('data set not stored: unknown, absent', async () => {
    const verdict = await judgeStored((storage) => storage.blobs.remove(hash(testDataset)));
    expect(verdict).toMatchObject({ kind: 'unknown', missing: `sha256:${hash(testDataset)}` });
  });
});

describe('rejects', () => {
  test.each([-1, 1])('file size off by %i bytes: verdict/model-files', async (more) => {
    const manifest = honestManifest();
    manifest.model[1]!.bytes += more;
    expect(await judgeStored(undefined, manifest)).toMatchObject({ kind: 'reject', code: 'verdict/model-files' });
  });

  test('other size of the data set: verdict/dataset', async () => {
    const manifest = honestManifest();
    manifest.dataset.bytes += 1;
    expect(await judgeStored(undefined, manifest)).toMatchObject({ kind: 'reject', code: 'verdict/dataset' });
  });

  test('manifest over the size limit: verdict/manifest-format', async () => {
    const fetch: JudgeDeps['fetch'] = async (_name, maxBytes) => {
      throw new AppError({ code: 'blobs/too-large' }, `It is larger than ${maxBytes} bytes.`);
    };
    const verdict = await judgeStored(undefined, undefined, { fetch });
    expect(verdict).toMatchObject({ kind: 'reject', code: 'verdict/manifest-format' });
  });
});

test("data set over the verifier's own limit: unknown, no rejection", async () => {
  const replay = () => Promise.reject(new AppError({ code: 'data/too-large' }, 'At most 10 bytes are taken.'));
  const verdict = await judgeStored(undefined, undefined, { replay });
  expect(verdict).toMatchObject({ kind: 'unknown', missing: undefined });
});
