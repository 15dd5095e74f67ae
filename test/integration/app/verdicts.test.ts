/** Verifiers, a storage and the contract: which attestations are taken, and how two of three decide. */
import { jobSources } from '../../../src/app/job-sources';
import { statementDeps } from '../../../src/app/storage-deps';
import { verdictDeps } from '../../../src/app/verdicts';
import { commitmentOf, signAttestation } from '../../../src/chain/acts/attestations';
import { defaultTerms } from '../../../src/chain/deploy/deploy';
import type { JobId } from '../../../src/domain/ids';
import { systemClock } from '../../../src/lib/clock';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import { silentLogger } from '../../../src/lib/logger';
import type { ManifestIn } from '../../../src/protocol/manifest';
import { type EvidenceRequest, evidenceRequestTypes, STORAGE_DOMAIN } from '../../../src/protocol/storage';
import { openStatements } from '../../../src/storage/client';
import { openVerifier } from '../../../src/verifier/verifier';
import { type ChainAccounts, openChainAccounts } from '../../support/chain-accounts';
import { dataset, FEE, FUEL, params, type Role, reasonHash } from '../../support/escrow';
import { openJudging } from '../../support/judging';
import { honestManifest, submittedJob } from '../../support/manifest';
import { requestJob } from '../../support/request-job';
import { openTestStorage, type TestStorage } from '../../support/storage';
import { until } from '../../support/until';

jest.setTimeout(60_000);

let accounts: ChainAccounts;
let storage: TestStorage;

beforeAll(async () => {
  accounts = await openChainAccounts();
  const { escrow, chain, store } = accounts;
  for (const role of ['verifier2', 'challenger'] as const)
    await escrow.send('admin', 'grantRole', await escrow.read('VERIFIER_ROLE'), escrow.address[role]);
  await escrow.send('admin', 'setTerms', { ...defaultTerms, quorum: 2 });
  storage = await openTestStorage(statementDeps({ chain, store, logger: silentLogger }));
});

afterAll(async () => {
  await storage[Symbol.asyncDispose]();
  await accounts[Symbol.asyncDispose]();
});

/** Brings a job to the chain whose result is this manifest, changed to be of the job. */
async function submit(): Promise<{ jobId: JobId; manifest: ManifestIn; ref: ReturnType<typeof submittedJob> }> {
  const { chain, emethOf } = accounts;
  const deadlineMs = (await chain.nowMs()) + 3_600_000;
  const { jobId } = await (await emethOf('requester')).request({
    dataset,
    params,
    feeWei: FEE,
    fuelLimit: FUEL,
    deadlineMs,
  });
  const manifest = honestManifest(jobId);
  const ref = { ...submittedJob(manifest), jobId };
  const node = await emethOf('node');
  await node.process(jobId);
  await node.submit(ref, FUEL / 2n, `sha256:${sha256(canonicalJson(manifest))}`);
  return { jobId, manifest, ref };
}

/** Puts what a role says at the storage; `as` claims to be another one, `to` names another job. */
async function put(
  role: Role,
  ref: ReturnType<typeof submittedJob>,
  { as = role, to = ref.jobId, accepted = true }: { as?: Role; to?: JobId; accepted?: boolean } = {},
) {
  const { chain, escrow, walletOf } = accounts;
  const verdict = accepted ? { accepted: true as const } : { accepted: false as const, reasonHash };
  const signature = await signAttestation(await walletOf(role), chain.core, { ...ref, verdict });
  const body = { verifier: escrow.address[as], commitment: commitmentOf(ref), verdict, signature };
  return send(to, 'attestations', JSON.stringify(body));
}

async function send(jobId: string, kind: string, body: string) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${storage.url}/jobs/${jobId}/${kind}`, { method: 'PUT', headers, body });
  const answer = (await response.json()) as { error?: { code: string } };
  return [response.status, answer.error?.code];
}

const lossOf = (loss: number) => ({ code: 'verdict/loss', reason: `it is ${loss}`, expected: `${loss}`, got: '2.5' });

/** What a verifier has of chain and storage. */
async function partsOf(role: Role, signal: AbortSignal) {
  const { chain, store, walletOf, emethOf } = accounts;
  return {
    chain,
    wallet: await walletOf(role),
    emeth: await emethOf(role),
    store,
    statements: openStatements([storage.url], signal),
    sources: jobSources({ storages: [storage.url], allowPrivate: false }, undefined),
    signal,
  };
}

/** Runs a verifier that measures this loss; the honest one is 2.5. */
async function runVerifier(role: Role, job: ReturnType<typeof submittedJob>, manifest: ManifestIn, loss: number) {
  const judging = await openJudging(manifest, {
    replay: async ({ manifest: { rounds, validationLoss } }) => ({
      theta: rounds.at(-1)!.nextTheta,
      rounds: rounds.length,
      leases: [],
      losses: { ...validationLoss, end: loss },
      ...(loss === validationLoss.end ? {} : { difference: lossOf(loss) }),
    }),
  });
  const stop = new AbortController();
  const { signal } = stop;
  const own = verdictDeps(await partsOf(role, signal));
  const verifier = openVerifier(
    { dataDir: judging.dir, tolerance: 0.01, evidenceMs: 60_000 },
    {
      ...judging.deps,
      ...own,
      forget: async () => {},
      keepEvidence: async () => {},
      clock: systemClock,
      logger: silentLogger,
      signal,
    },
  );
  verifier.onSubmitted(job);
  const running = verifier.run();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await judging[Symbol.asyncDispose]();
    },
  };
}

const statements = () => openStatements([storage.url]);
const stateOf = async (jobId: JobId) => (await accounts.chain.job(jobId)).state;

test('two of three agree, one does not: verified by those two, on chain once', async () => {
  const { jobId, ref, manifest } = await submit();
  const waiting = ['verifier', 'verifier2'] as const;
  const sentBy = (role: Role) => chain.provider.getTransactionCount(escrow.address[role]);
  const { escrow, chain } = accounts;
  const before = await Promise.all(waiting.map(sentBy));
  const count = async (n: number) => (await statements().listAttestations(jobId)).length === n;
  await using _doubter = await runVerifier('verifier', ref, manifest, 9);
  await until(() => count(1));
  await using _second = await runVerifier('verifier2', ref, manifest, 2.5);
  await until(() => count(2));
  expect(await stateOf(jobId)).toBe('SUBMITTED');
  await using _third = await runVerifier('challenger', ref, manifest, 2.5);
  await until(async () => (await stateOf(jobId)) === 'VERIFIED');
  // The fee shows whose transaction it was.
  expect(await chain.credit(escrow.address.challenger)).toBeGreaterThan(0n);
  expect(await Promise.all(waiting.map(sentBy))).toEqual(before);
});

test('two find it bad for different reasons: rejected for one of them', async () => {
  const { jobId, ref, manifest } = await submit();
  await using _first = await runVerifier('verifier', ref, manifest, 9);
  await until(async () => (await statements().listAttestations(jobId)).length === 1);
  const [{ verdict: first } = { verdict: undefined }] = await statements().listAttestations(jobId);
  await using _second = await runVerifier('verifier2', ref, manifest, 8);
  await until(async () => (await stateOf(jobId)) === 'FAILED');
  expect((await statements().listAttestations(jobId)).map(({ verdict }) => verdict)).toEqual([first, first]);
});

describe('missing evidence', () => {
  const missing = `sha256:${'00'.repeat(32)}`;
  const open = async () => verdictDeps(await partsOf('verifier', new AbortController().signal));

  test('asked for by a verifier: listed at the storage', async () => {
    const { jobId } = await submit();
    await (await open()).requestEvidence(jobId, missing);
    const { address } = accounts.escrow;
    expect(await statements().listEvidenceRequests(jobId)).toMatchObject([
      { verifier: address.verifier, reference: missing },
    ]);
  });

  test('manifest or another result is there: the storage serves others', async () => {
    const { servesOthers } = await open();
    const { jobId, ref, manifest } = await submit();
    expect(await servesOthers(ref, missing)).toBe(false);
    // The one that is missing proves nothing, even if the storage has it now.
    const stored = await storage.blobs.addBytes(Buffer.from(canonicalJson(manifest)));
    expect(await servesOthers(ref, `sha256:${stored.sha256}`)).toBe(false);
    expect(await servesOthers(ref, missing)).toBe(true);

    const other = await submit();
    expect(await servesOthers(other.ref, missing)).toBe(false);
    const request = { dataset, params, feeWei: FEE, fuelLimit: FUEL, deadlineMs: 1, requestedBlock: 1 };
    await requestJob(accounts.store, { ...request, id: jobId, requester: accounts.escrow.address.requester });
    await accounts.store.jobs.applyChain([{ jobId, state: 'SUBMITTED' }]);
    expect(await servesOthers(other.ref, missing)).toBe(true);
  });
});

describe('PUT /jobs/<id>/attestations', () => {
  test('registered verifiers: one each for and against the result, the latest', async () => {
    const { jobId, ref } = await submit();
    for (const role of ['verifier', 'verifier2', 'verifier'] as const)
      expect(await put(role, ref)).toEqual([200, undefined]);
    expect(await put('verifier', ref, { accepted: false })).toEqual([200, undefined]);
    const listed = await statements().listAttestations(jobId);
    const { address } = accounts.escrow;
    const expected = [
      [address.verifier, false],
      [address.verifier, true],
      [address.verifier2, true],
    ];
    expect(listed.map(({ verifier, verdict }) => [verifier, verdict.accepted]).sort()).toEqual(expected.sort());
  });

  test('stranger, or in the name of another: refused', async () => {
    const { jobId, ref } = await submit();
    expect(await put('node', ref)).toEqual([403, 'storage/not-verifier']);
    expect(await put('node', ref, { as: 'verifier' })).toEqual([401, 'storage/unauthorised']);
    expect(await statements().listAttestations(jobId)).toEqual([]);
  });

  test('attestation of another job, or of another result: refused', async () => {
    const { ref } = await submit();
    const other = await submit();
    expect(await put('verifier', ref, { to: other.jobId })).toEqual([401, 'storage/unauthorised']);
    expect(await put('verifier', { ...ref, payoutRoot: other.ref.resultHash })).toEqual([409, 'storage/other-result']);
    expect(await statements().listAttestations(other.jobId)).toEqual([]);
  });

  test('result decided already, or none: refused', async () => {
    const { jobId, ref } = await submit();
    await (await accounts.emethOf('requester')).accept(jobId);
    expect(await put('verifier', ref)).toEqual([409, 'storage/no-verdict-awaited']);
    const unknown = { ...ref, jobId: `0x${'77'.repeat(16)}` as JobId };
    expect(await put('verifier', unknown)).toEqual([409, 'storage/no-verdict-awaited']);
  });

  test.each([
    ['no JSON', 'attest', 400],
    ['another shape', '{"verifier":"me"}', 400],
    ['more than eight KiB', JSON.stringify({ text: 'x'.repeat(9000) }), 413],
  ])('%s: refused', async (_what, body, status) => {
    expect((await send(`0x${'77'.repeat(16)}`, 'attestations', body))[0]).toBe(status);
    expect((await send('..%2f..', 'attestations', body))[0]).toBeGreaterThanOrEqual(400);
  });
});

describe('PUT /jobs/<id>/evidence-requests', () => {
  async function ask(role: Role, jobId: JobId, reference: string, atMs = Date.now()) {
    const wallet = await accounts.walletOf(role);
    const signature = await wallet.signTyped(STORAGE_DOMAIN, evidenceRequestTypes, { jobId, reference, atMs });
    const request: EvidenceRequest = { verifier: wallet.address, reference, atMs, signature };
    return { request, answer: await send(jobId, 'evidence-requests', JSON.stringify(request)) };
  }

  test('two of one verifier: the later one is listed, in whatever order they come', async () => {
    const { jobId } = await submit();
    const atMs = Date.now();
    const later = await ask('verifier', jobId, 'sha256:later', atMs);
    const earlier = await ask('verifier', jobId, 'sha256:earlier', atMs - 1000);
    expect([later.answer, earlier.answer]).toEqual([
      [200, undefined],
      [200, undefined],
    ]);
    expect(await statements().listEvidenceRequests(jobId)).toEqual([later.request]);
  });

  test('stranger, or an old request put again: refused', async () => {
    const { jobId } = await submit();
    expect((await ask('node', jobId, 'sha256:x')).answer).toEqual([403, 'storage/not-verifier']);
    const old = await ask('verifier', jobId, 'sha256:x', Date.now() - 3_600_000);
    expect(old.answer).toEqual([401, 'storage/unauthorised']);
    expect(await statements().listEvidenceRequests(jobId)).toEqual([]);
  });
});

test('openStatements where no storage is: throws storage/unreachable', async () => {
  const nowhere = openStatements(['http://127.0.0.1:9/api/v1']);
  const { jobId } = submittedJob();
  await expect(nowhere.listAttestations(jobId)).rejects.toMatchObject({ code: 'storage/unreachable' });
  const other = openStatements([`${storage.url}/blobs`]);
  await expect(other.listAttestations(jobId)).rejects.toMatchObject({ code: 'storage/refused' });
});
