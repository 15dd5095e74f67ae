/** The verifier's queue: retries, absent evidence, and one attestation per result. */
import { JobId, type Sha256 } from '../../../src/domain/ids';
import { AppError } from '../../../src/lib/errors';
import { sha256 } from '../../../src/lib/hash';
import type { ManifestIn } from '../../../src/protocol/manifest';
import type { Prepared } from '../../../src/protocol/trainer';
import type { SubmittedJob } from '../../../src/verifier/manifest-checks';
import { openVerifier, type VerifierDeps } from '../../../src/verifier/verifier';
import { autoClock } from '../../support/auto-clock';
import { openJudging } from '../../support/judging';
import { honestManifest, submittedJob, testDataset } from '../../support/manifest';

const job = submittedJob();

interface Outcome {
  /** The verdicts sent to the chain, in order. */
  attested: string[];
  evaluations: number;
  passedMs: number;
}

/** Runs a verifier over jobs until the chain waits for nothing more. */
async function verify(
  jobs: SubmittedJob[],
  replaced: Partial<VerifierDeps> = {},
  manifest: ManifestIn = honestManifest(),
): Promise<Outcome> {
  await using judging = await openJudging(manifest, replaced);
  const attested: string[] = [];
  const waiting = new Set(jobs.map(({ jobId }) => jobId));
  const stop = new AbortController();
  const clock = autoClock();
  const startMs = clock.now();
  const settle = (what: string, { jobId }: SubmittedJob) => {
    attested.push(what);
    waiting.delete(jobId);
    if (waiting.size === 0) stop.abort();
  };
  const deps: VerifierDeps = {
    ...judging.deps,
    isSubmitted: async (jobId) => waiting.has(jobId),
    accept: async (accepted) => settle('accept', accepted),
    reject: async (rejected, reasonHash) => settle(`reject ${reasonHash}`, rejected),
    clock,
    signal: stop.signal,
    ...replaced,
    evaluate: judging.deps.evaluate,
  };
  if (replaced.accept) {
    const first = replaced.accept;
    deps.accept = async (accepted) => {
      await first(accepted);
      settle('accept', accepted);
    };
  }
  const verifier = openVerifier({ dataDir: judging.dir, tolerance: 0.01 }, deps);
  for (const submitted of [...jobs, ...jobs]) verifier.onSubmitted(submitted);
  await verifier.run();
  return { attested, evaluations: judging.evaluations, passedMs: clock.now() - startMs };
}

test('result submitted twice: accepted once', async () => {
  expect(await verify([job])).toMatchObject({ attested: ['accept'], evaluations: 1 });
});

test('model worse than claimed: rejected with the hash of the reason', async () => {
  const evaluate = async () => ({ prepared: honestManifest().prepared as Prepared, loss: 3 });
  const { attested } = await verify([job], { evaluate });
  expect(attested).toEqual([`reject 0x${sha256("verdict/loss: the model's loss is 3, not 2.5").slice(0, 32)}`]);
});

test('storage back after an outage: judged then', async () => {
  let looks = 0;
  const { attested, passedMs } = await verify([job], {
    async fetchDataset() {
      looks += 1;
      if (looks < 20) throw new AppError({ code: 'blobs/storage-unreachable' }, 'Away.');
      return { sha256: sha256(testDataset) as Sha256, bytes: testDataset.length };
    },
  });
  expect(attested).toEqual(['accept']);
  expect(passedMs).toBeGreaterThan(60 * 60_000);
});

test('evidence stays absent: rejected after some minutes, not before', async () => {
  const nowhere = { ...job, resultHash: `0x${'00'.repeat(32)}` };
  const { attested, passedMs } = await verify([nowhere]);
  expect(attested).toEqual([
    `reject 0x${sha256(`verdict/evidence-absent: There is no blob ${'00'.repeat(32)}.`).slice(0, 32)}`,
  ]);
  expect(passedMs).toBeGreaterThan(2 * 60_000);
});

test('chain refuses the verdict at first: sent again, not judged again', async () => {
  let tries = 0;
  const accept = async () => {
    tries += 1;
    if (tries < 4) throw new Error('the node is away');
  };
  expect(await verify([job], { accept })).toMatchObject({ attested: ['accept'], evaluations: 1 });
});

test('one job cannot be judged: the others are', async () => {
  const absent = { ...job, jobId: JobId.parse(`0x${'ee'.repeat(16)}`), resultHash: `0x${'11'.repeat(32)}` };
  const { attested } = await verify([absent, job]);
  expect(attested).toEqual(['accept', expect.stringMatching(/^reject 0x/)]);
});

test('result settled already: nothing is judged', async () => {
  await using judging = await openJudging();
  const stop = new AbortController();
  const asked: string[] = [];
  const deps: VerifierDeps = {
    ...judging.deps,
    async isSubmitted(jobId) {
      asked.push(jobId);
      stop.abort();
      return false;
    },
    accept: () => Promise.reject(new Error('attested')),
    reject: () => Promise.reject(new Error('attested')),
    clock: autoClock(),
    signal: stop.signal,
  };
  const verifier = openVerifier({ dataDir: judging.dir, tolerance: 0.01 }, deps);
  verifier.onSubmitted(job);
  await verifier.run();
  expect(asked).toEqual([job.jobId]);
  expect(judging.evaluations).toBe(0);
});
