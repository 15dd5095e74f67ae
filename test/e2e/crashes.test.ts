/** Every kind of process killed at every named point of a job: it ends as if nothing had happened. */
import { requireSubmission } from '../../src/app/chain-job';
import type { JobId } from '../../src/domain/ids';
import { Manifest } from '../../src/protocol/manifest';
import { CrashRun, type Victim } from '../support/crash-run';
import { makeText, type Network, startNetwork, tinyParams } from '../support/network';
import { openScratch } from '../support/scratch';

// The default outer step overshoots at first: a master that knows no earlier losses calls that a bad fold.
const params = { ...tinyParams, round: { steps: 20 }, outer: { lr: 0.9, momentum: 0.1 } };
// Short polls and waits: nothing that is shown here depends on their length.
const settings = { master: { pollMs: 200, round: { leaseMs: 30_000, graceMs: 500, resumeMs: 500 } } };

let scratch: Awaited<ReturnType<typeof openScratch>>;
let network: Network;
let crashes: CrashRun;
let text: string;
let undisturbed: Manifest;
let tokensBefore: bigint;

beforeAll(async () => {
  scratch = await openScratch();
  crashes = new CrashRun(scratch.file('points'));
  // One worker: its leases, and so the model, are the same however often they are begun.
  network = await startNetwork({ workers: 1, env: crashes.env, verifier: { pollMs: 200 }, ...settings });
  text = await network.writeText('text.txt', makeText(24_000));
  tokensBefore = await network.totalTokens();
  undisturbed = await train();
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

/** Trains the job, and returns what was submitted. */
async function train(victim?: Victim): Promise<Manifest> {
  const jobId = await network.request(text, params);
  if (victim) crashes.armReaders();
  await crashes.killUntil(network, victim, async () => (await network.admin.job(jobId)).state === 'verified');
  const { ledger } = await network.admin.job(jobId);
  expect(ledger).toMatchObject({ minMerged: 1, maxMerged: 1 });
  expect((await network.chain.job(jobId)).state).toBe('VERIFIED');
  return fetchManifest(jobId);
}

async function fetchManifest(jobId: JobId): Promise<Manifest> {
  const { resultHash } = await requireSubmission(network.chain, jobId);
  const response = await fetch(`${network.parties.masterUrl}/api/v1/blobs/${resultHash.slice(2)}?job=${jobId}`);
  return Manifest.parse(await response.json());
}

/** What each round merged, as text. Whether the outer step begins anew depends on a measured loss. */
function worksOf({ rounds }: Manifest): string[] {
  return rounds.map(({ leases, scale, resetsOuter }) =>
    JSON.stringify([leases.map(({ start, end }) => [start, end]), scale, resetsOuter]),
  );
}

/** How many rounds merged the same work in both, from the first on. */
function countSame(a: Manifest, b: Manifest): number {
  const others = worksOf(b);
  const differing = worksOf(a).findIndex((work, i) => work !== others[i]);
  return differing < 0 ? a.rounds.length : differing;
}

/** The weights after each of the first rounds. */
function weightsOf({ rounds }: Manifest, first: number): string[] {
  return rounds.slice(0, first).map(({ nextTheta }) => nextTheta);
}

/** The number of transactions that a job costs its node. */
const ACTS = ['process', 'submit', 'pay'].length;

test.each([
  ['master', 1],
  ['worker', 2],
  ['child', 3],
] as const)('%s killed at every point: same weights from the same work, paid once', async (victim, act) => {
  const { node } = network.parties;
  const sentBefore = await network.chain.provider.getTransactionCount(node.address);
  crashes.arm(act);
  const manifest = await train(victim);

  expect(crashes.unmet()).toEqual([]);
  const same = countSame(manifest, undisturbed);
  expect(same).toBeGreaterThan(0);
  expect(weightsOf(manifest, same)).toEqual(weightsOf(undisturbed, same));
  expect(await network.totalTokens()).toBe(tokensBefore);
  expect((await network.chain.provider.getTransactionCount(node.address)) - sentBefore).toBe(ACTS);
});
