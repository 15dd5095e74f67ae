/** The verifier's queue: retries, evidence that stays missing, and one verdict per result. */
import { existsSync, writeFileSync } from 'node:fs';
import { Address, JobId, type Sha256 } from '../../../src/domain/ids';
import { crashPoints } from '../../../src/lib/crash-point';
import { AppError } from '../../../src/lib/errors';
import { sha256 } from '../../../src/lib/hash';
import { silentLogger } from '../../../src/lib/logger';
import { Evidence } from '../../../src/protocol/evidence';
import type { ManifestIn } from '../../../src/protocol/manifest';
import type { SubmittedJob } from '../../../src/verifier/manifest-checks';
import { openVerifier, type VerifierDeps } from '../../../src/verifier/verifier';
import { autoClock } from '../../support/auto-clock';
import { openJudging } from '../../support/judging';
import { honestManifest, submittedJob, testDataset } from '../../support/manifest';
import { openScratch } from '../../support/scratch';

const job = submittedJob();
const HOUR_MS = 3600_000;
const options = { tolerance: 0.01, evidenceMs: HOUR_MS / 2 };
/** A job whose manifest was never stored. */
const nowhere = { ...job, resultHash: `0x${'00'.repeat(32)}` };

interface Outcome {
  /** The verdicts sent to the chain, in order. */
  attested: string[];
  /** The evidence kept for them. */
  kept: string[];
  /** References that were asked for. */
  requested: string[];
  replays: number;
  passedMs: number;
}

type Replaced = Partial<VerifierDeps> & { windowMs?: number };

/** Runs a verifier, alone in its quorum, until the chain waits for nothing more, or for ten hours. */
async function verify(
  jobs: SubmittedJob[],
  { windowMs = 24 * HOUR_MS, ...replaced }: Replaced = {},
  manifest: ManifestIn = honestManifest(),
): Promise<Outcome> {
  await using judging = await openJudging(manifest, replaced);
  const outcome: Outcome = { attested: [], kept: [], requested: [], replays: 0, passedMs: 0 };
  const waiting = new Set(jobs.map(({ jobId }) => jobId));
  const stop = new AbortController();
  const clock = autoClock();
  const startMs = clock.now();
  const deps: VerifierDeps = {
    ...judging.deps,
    address: Address.parse(`0x${'0f'.repeat(20)}`),
    quorumOf: async () => 1,
    sign: () => Promise.reject(new Error('signed')),
    publish: () => Promise.reject(new Error('published')),
    listAttestations: () => Promise.reject(new Error('asked for attestations')),
    servesOthers: async () => true,
    async keepEvidence(_jobId, text) {
      outcome.kept.push(text);
    },
    forget: async () => {},
    clock,
    signal: stop.signal,
    ...replaced,
    replay: judging.deps.replay,
    async verdictDueMs(jobId) {
      if (clock.now() > startMs + 10 * HOUR_MS) stop.abort();
      return waiting.has(jobId) ? startMs + windowMs : undefined;
    },
    async requestEvidence(jobId, reference) {
      outcome.requested.push(reference);
      await replaced.requestEvidence?.(jobId, reference);
    },
    async send({ jobId, ...rest }, verdict, signatures) {
      await replaced.send?.({ jobId, ...rest }, verdict, signatures);
      outcome.attested.push(verdict.accepted ? 'accept' : `reject ${verdict.reasonHash}`);
      waiting.delete(jobId);
      if (waiting.size === 0) stop.abort();
    },
  };
  const verifier = openVerifier({ dataDir: judging.dir, ...options }, deps);
  for (const submitted of [...jobs, ...jobs]) verifier.onSubmitted(submitted);
  await verifier.run();
  return { ...outcome, replays: judging.replays, passedMs: clock.now() - startMs };
}

/** A rejection whose reason is bound to the one evidence that was kept. */
const rejectedFor = (kept: readonly string[]) => `reject 0x${sha256(kept.join()).slice(0, 32)}`;

test('result submitted twice: accepted once', async () => {
  expect(await verify([job])).toMatchObject({ attested: ['accept'], replays: 1 });
});

test('replay differs: rejected with the hash of the evidence, which was kept before', async () => {
  const difference = { code: 'verdict/lease', reason: 'it is another', round: 1, expected: 'a', got: 'b' };
  const replay = async () => ({ theta: sha256('x') as Sha256, rounds: 1, leases: [], difference });
  const { attested, kept } = await verify([job], { replay });
  expect(kept.map((text) => Evidence.parse(JSON.parse(text)))).toEqual([
    expect.objectContaining({ ...difference, jobId: job.jobId, manifest: job.resultHash.slice(2) }),
  ]);
  expect(attested).toEqual([rejectedFor(kept)]);
});

test('two machines measure differently: one reason', async () => {
  const rejectedWith = async (measured: string) => {
    const difference = { code: 'verdict/loss', reason: 'the loss is another', expected: 'a', got: 'b', measured };
    const replay = async () => ({ theta: sha256('x') as Sha256, rounds: 1, leases: [], difference });
    return (await verify([job], { replay })).attested;
  };
  expect(await rejectedWith('2.5001')).toEqual(await rejectedWith('2.5002'));
});

test('storage back after an outage: judged then', async () => {
  let looks = 0;
  const { attested, requested, passedMs } = await verify([job], {
    async fetchDataset() {
      looks += 1;
      if (looks < 20) throw new AppError({ code: 'blobs/storage-unreachable' }, 'Away.');
      return { sha256: sha256(testDataset) as Sha256, bytes: testDataset.length };
    },
  });
  expect([attested, requested]).toEqual([['accept'], []]);
  expect(passedMs).toBeGreaterThan(HOUR_MS);
});

describe('missing evidence', () => {
  test('it stays missing: asked for once, rejected after half an hour', async () => {
    const { attested, kept, requested, passedMs } = await verify([nowhere]);
    expect([attested, requested]).toEqual([[rejectedFor(kept)], [`sha256:${'00'.repeat(32)}`]]);
    expect(JSON.parse(kept[0]!)).toMatchObject({ code: 'evidence/unavailable' });
    expect(passedMs).toBeGreaterThanOrEqual(HOUR_MS / 2);
    expect(passedMs).toBeLessThan(HOUR_MS / 2 + 5 * 60_000);
  });

  test('short window: rejected before it ends', async () => {
    const { attested, kept, passedMs } = await verify([nowhere], { windowMs: HOUR_MS / 6 });
    expect(attested).toEqual([rejectedFor(kept)]);
    expect(passedMs).toBeGreaterThanOrEqual(HOUR_MS / 12);
    expect(passedMs).toBeLessThan(HOUR_MS / 6);
  });

  test('storage serves nothing else either: asked for, never rejected', async () => {
    const { attested, requested } = await verify([nowhere], { servesOthers: async () => false });
    expect([attested, requested.length]).toEqual([[], 1]);
  });

  test('request cannot be published: tried again, and rejected all the same', async () => {
    const requestEvidence = () => Promise.reject(new Error('refused'));
    const { attested, kept, requested } = await verify([nowhere], { requestEvidence });
    expect(attested).toEqual([rejectedFor(kept)]);
    expect(requested.length).toBeGreaterThan(2);
  });

  test('one thing missing after the other: the time of the first counts', async () => {
    let looks = 0;
    const { attested, requested, passedMs } = await verify([job], {
      async fetch() {
        looks += 1;
        const name = `${looks % 10}`.repeat(64);
        throw new AppError({ code: 'blobs/not-stored', sha256: name }, `There is no blob ${name}.`);
      },
    });
    expect(attested).toEqual([expect.stringMatching(/^reject /)]);
    expect(new Set(requested).size).toBeGreaterThan(3);
    expect(passedMs).toBeLessThan(HOUR_MS / 2 + 5 * 60_000);
  });

  test.each([
    ['behind a web address', 'https://data.example.org/book.txt', { code: 'dataset/missing' }],
    ['for want of the network', job.dataset, { code: 'dataset/missing' }],
  ])('data set missing %s: never rejected', async (_why, dataset, detail) => {
    const manifest = honestManifest();
    manifest.dataset.reference = dataset;
    const fetchDataset = () => Promise.reject(new AppError(detail, 'Gone.'));
    const { attested, requested } = await verify([{ ...submittedJob(manifest), dataset }], { fetchDataset }, manifest);
    expect(attested).toEqual([]);
    expect(requested).toEqual(dataset.startsWith('https:') ? [dataset] : []);
  });

  test('one that is stored late: judged then', async () => {
    let looks = 0;
    await using judging = await openJudging();
    const { attested } = await verify([job], {
      async fetch(name, ...rest) {
        looks += 1;
        if (looks < 6) throw new AppError({ code: 'blobs/not-stored', sha256: name }, 'Not yet.');
        return judging.deps.fetch(name, ...rest);
      },
    });
    expect(attested).toEqual(['accept']);
  });
});

test('chain refuses the verdict at first: sent again, not judged again', async () => {
  let tries = 0;
  const send = async () => {
    tries += 1;
    if (tries < 4) throw new Error('the node is away');
  };
  expect(await verify([job], { send })).toMatchObject({ attested: ['accept'], replays: 1 });
});

test('another verifier was faster: its own verdict is not sent again', async () => {
  await using judging = await openJudging();
  const stop = new AbortController();
  const lines: string[] = [];
  let isDecided = false;
  let sends = 0;
  const refuse = () => Promise.reject(new Error('called'));
  const deps: VerifierDeps = {
    ...judging.deps,
    async verdictDueMs() {
      // Nothing is left to do after the first answer that the result is decided.
      if (isDecided) stop.abort();
      return isDecided ? undefined : 1e12;
    },
    address: Address.parse(`0x${'0f'.repeat(20)}`),
    quorumOf: async () => 1,
    sign: refuse,
    publish: refuse,
    listAttestations: refuse,
    requestEvidence: refuse,
    servesOthers: refuse,
    keepEvidence: refuse,
    forget: async () => {},
    async send() {
      sends += 1;
      isDecided = true;
      throw new Error('EmethCore_WrongState');
    },
    clock: autoClock(),
    logger: { ...silentLogger, info: (line) => void lines.push(line), warn: (line) => void lines.push(line) },
    signal: stop.signal,
  };
  const verifier = openVerifier({ dataDir: judging.dir, ...options }, deps);
  verifier.onSubmitted(job);
  await verifier.run();
  expect(sends).toBe(1);
  expect(lines.slice(-2)).toEqual(['Accepting', 'Result decided']);
});

test('one job cannot be judged: the others are', async () => {
  const absent = { ...job, jobId: JobId.parse(`0x${'ee'.repeat(16)}`), resultHash: `0x${'11'.repeat(32)}` };
  const { attested } = await verify([absent, job]);
  expect(attested).toEqual(['accept', expect.stringMatching(/^reject 0x/)]);
});

test('result settled already: nothing is judged', async () => {
  const send = () => Promise.reject(new Error('sent'));
  await using judging = await openJudging();
  const stop = new AbortController();
  const asked: string[] = [];
  const refuse = () => Promise.reject(new Error('called'));
  const deps: VerifierDeps = {
    ...judging.deps,
    async verdictDueMs(jobId) {
      asked.push(jobId);
      stop.abort();
      return undefined;
    },
    address: Address.parse(`0x${'0f'.repeat(20)}`),
    quorumOf: refuse,
    sign: refuse,
    publish: refuse,
    listAttestations: refuse,
    requestEvidence: refuse,
    servesOthers: refuse,
    keepEvidence: refuse,
    forget: refuse,
    send,
    clock: autoClock(),
    signal: stop.signal,
  };
  const verifier = openVerifier({ dataDir: judging.dir, ...options }, deps);
  verifier.onSubmitted(job);
  await verifier.run();
  expect(asked).toEqual([job.jobId]);
  expect(judging.replays).toBe(0);
});

describe('something unexpected throws once', () => {
  afterEach(() => {
    delete process.env.EMETH_CRASH_POINTS;
  });

  test.each(crashPoints.verifier)('at %s: accepted all the same', async (point) => {
    await using scratch = await openScratch();
    writeFileSync(scratch.file(point), 'throw 1');
    process.env.EMETH_CRASH_POINTS = scratch.path;
    const { attested, kept } = await verify([job]);
    expect([attested, kept]).toEqual([['accept'], []]);
    expect(existsSync(scratch.file(`${point}.met`))).toBe(true);
  });
});
