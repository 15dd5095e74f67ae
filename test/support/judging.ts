/** What a judge needs in tests: a storage with an honest result, and counted replays. */
import { BlobStore } from '../../src/blobs/blob-store';
import { buildPayouts } from '../../src/chain/acts/payouts';
import type { Sha256 } from '../../src/domain/ids';
import { AppError } from '../../src/lib/errors';
import { canonicalJson, sha256 } from '../../src/lib/hash';
import { silentLogger } from '../../src/lib/logger';
import type { ManifestIn } from '../../src/protocol/manifest';
import type { JudgeDeps } from '../../src/verifier/judge';
import { honestManifest, testDataset, testModel } from './manifest';
import { openScratch } from './scratch';

export interface Judging extends AsyncDisposable {
  readonly dir: string;
  readonly blobs: BlobStore;
  readonly deps: JudgeDeps;
  /** How often a job was repeated. */
  readonly replays: number;
}

/** Opens a storage with a manifest and all it names, and the deps of a judge; any part can be replaced. */
export async function openJudging(
  manifest: ManifestIn = honestManifest(),
  replaced: Partial<JudgeDeps> = {},
): Promise<Judging> {
  const scratch = await openScratch();
  const blobs = new BlobStore(scratch.file('blobs'));
  for (const bytes of [testDataset, Buffer.from(canonicalJson(manifest)), ...Object.values(testModel)]) {
    await blobs.addBytes(bytes);
  }
  let replays = 0;
  const replay: JudgeDeps['replay'] = async ({ manifest: { rounds, validationLoss: losses } }) => ({
    theta: rounds.at(-1)!.nextTheta,
    rounds: rounds.length,
    leases: [],
    losses,
  });
  const deps: JudgeDeps = {
    path: (name) => blobs.path(name),
    async fetch(name) {
      const stat = await blobs.stat(name);
      if (!stat) throw new AppError({ code: 'blobs/not-stored', sha256: name }, `There is no blob ${name}.`);
      return stat;
    },
    fetchDataset: async () => ({ sha256: sha256(testDataset) as Sha256, bytes: testDataset.length }),
    drawSeed: async () => 'a block hash',
    openBase: () => Promise.reject(new Error('The job has no base.')),
    payoutRoot: (shares) => buildPayouts(shares).root,
    logger: silentLogger,
    ...replaced,
    replay(options, job) {
      replays += 1;
      return (replaced.replay ?? replay)(options, job);
    },
  };
  return {
    dir: scratch.path,
    blobs,
    deps,
    get replays() {
      return replays;
    },
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}
