/** Replays of every program beside the first one: all comes out equal, and false claims are found. */
import { join } from 'node:path';
import { BlobStore } from '../../../src/blobs/blob-store';
import type { Manifest } from '../../../src/protocol/manifest';
import type { TrainerSpec } from '../../../src/protocol/trainer';
import { replayJob } from '../../../src/replay/replay';
import { plannedParams } from '../../support/planned-params';
import { openScratch } from '../../support/scratch';
import { makeBases } from '../../support/small-bases';
import { openTinyResults, type TinyResults } from '../../support/tiny-result';

// Two bases are made, and two children started for each program.
jest.setTimeout(240_000);

let scratch: Awaited<ReturnType<typeof openScratch>>;
beforeAll(async () => {
  scratch = await openScratch();
  await makeBases(scratch.path, 'gpt2', 'llama');
});
afterAll(() => scratch[Symbol.asyncDispose]());

const common = { epochs: 1, batch: 4, round: { steps: 4 }, codec: 'fp32', inner: { lr: 1e-2 } };
const asked = { ...common, model: { context: 16 }, base: `sha256:${'1a'.repeat(32)}` };
const fromScratch = { ...common, model: { family: 'llama', layers: 1, heads: 2, width: 16, context: 16 } };
const lora = { ...asked, tune: 'lora', lora: { merge: true } };

describe.each([
  ['full', 'gpt2', { ...asked, tune: 'full' }],
  ['lora', 'llama', lora],
  ['none', undefined, fromScratch],
] as const)('job that tunes %s, from %s', (_tune, kind, params) => {
  const base = () => (kind === undefined ? undefined : scratch.file(kind));
  let results: TinyResults;
  let honest: Manifest;
  beforeAll(async () => {
    results = await openTinyResults(plannedParams(params), base());
    honest = await results.train();
  });
  afterAll(() => results[Symbol.asyncDispose]());

  /** Repeats a manifest and all its leases from the stored blobs. */
  async function replay(manifest: Manifest) {
    const { dir, blobs, dataset, openChild } = results;
    const own = new BlobStore(join(dir, 'own'));
    const specs: TrainerSpec[] = [];
    const report = await replayJob(
      {
        ...{ manifest, dataset, base: base(), workDir: join(dir, 'replay') },
        ...{ device: 'cpu', threads: 1, maxDatasetBytes: 1 << 20, lossTolerance: 0.01 },
        isRedone: () => true,
        redoAtOnce: true,
      },
      {
        openChild(spec) {
          specs.push(spec);
          return openChild(spec);
        },
        blobs: {
          fetch: (name) => own.add(blobs.path(name), { move: false }),
          path: (name) => own.path(name),
          remove: (name) => own.remove(name),
        },
      },
    );
    return { ...report, specs };
  }

  test('honest result: all of it is equal, and every child gets the base', async () => {
    const report = await replay(honest);
    expect(report.difference).toBeUndefined();
    expect(report).toMatchObject({ rounds: 3, losses: honest.validationLoss });
    expect(report.leases.map(({ distance }) => distance)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(report.specs.map((spec) => [spec.kind, 'base' in spec && spec.base])).toEqual([
      ['coordinate', base()],
      ['train', base()],
    ]);
  });

  test.each([
    ['weights that were not trained', 'verdict/model-files', exchangeWeights],
    ['first weights that base and seed do not give', 'verdict/first-weights', exchangeFirst],
  ])('%s: found', async (_what, code, change) => {
    const manifest = structuredClone(honest);
    change(manifest);
    expect((await replay(manifest)).difference).toMatchObject({ code });
  });
});

function exchangeWeights({ model, rounds }: Manifest): void {
  for (const file of model.filter(({ name }) => name.endsWith('.safetensors'))) file.sha256 = rounds[0]!.theta;
}

function exchangeFirst({ rounds }: Manifest): void {
  rounds[0]!.theta = rounds[1]!.theta;
}
