/** One of two masters with one key halts or dies in the middle of a job: the other finishes it, alone. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobId } from '../../src/domain/ids';
import type { CrashPoint } from '../../src/lib/crash-point';
import { CrashRun } from '../support/crash-run';
import { untilSo } from '../support/further-roles';
import { makeText, tinyParams } from '../support/network';
import { isHalted, waitUntilGone } from '../support/processes';
import { openScratch } from '../support/scratch';
import { startTwoMasters, type TwinMaster, type TwoMasters } from '../support/two-masters';

const params = { ...tinyParams, round: { steps: 20 } };
/** The transactions that a job costs its node. */
const ACTS = ['process', 'submit', 'pay'];

let scratch: Awaited<ReturnType<typeof openScratch>>;
let crashes: CrashRun;
let pair: TwoMasters;
let text: string;

beforeAll(async () => {
  scratch = await openScratch();
  crashes = new CrashRun(scratch.file('points'));
  pair = await startTwoMasters(crashes.env);
  text = await pair.network.writeText('text.txt', makeText(24_000));
});
afterAll(async () => {
  await pair[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

const pidOf = ({ party }: TwinMaster) => pair.network.processOf(party).pid;
const logged = async (master: TwinMaster, jobId: JobId, message: string) =>
  (await master.log(jobId)).includes(`"${message}"`);

/** Requests a job, and halts the master that comes to the point, or comes there again, until it may go on. */
async function haltMaster(point: CrashPoint, passing: number) {
  const fromBlock = await chain().provider.getBlockNumber();
  const halting = crashes.halt(point, passing);
  const jobId = await pair.network.request(text, params);
  const goOn = await halting;
  const [a, b] = pair.masters;
  const [halted, other] = isHalted(pidOf(a)) ? [a, b] : [b, a];
  return { jobId, halted, other, goOn, sent: () => countActs(fromBlock) };
}

/** Counts what the node has sent to the contract since the block. */
async function countActs(fromBlock: number): Promise<number> {
  const { provider } = chain();
  const { node, core } = pair.network.parties;
  const newer = Array.from({ length: (await provider.getBlockNumber()) - fromBlock }, (_, i) => fromBlock + 1 + i);
  const blocks = await Promise.all(newer.map((block) => provider.getBlock(block, true)));
  const sent = blocks.flatMap((block) => block?.prefetchedTransactions ?? []);
  return sent.filter(({ from, to }) => isSame(from, node.address) && isSame(to, core)).length;
}

const chain = () => pair.network.chain;
const isSame = (a: string | null, b: string) => a?.toLowerCase() === b.toLowerCase();

async function takesOver(other: TwinMaster, jobId: JobId): Promise<void> {
  await pair.ageClaims();
  await untilSo('The other does not take over', () => logged(other, jobId, 'Job taken over'));
}

/** Waits until the job is verified; each of its blocks is merged once. */
async function isFinishedBy({ admin }: TwinMaster, jobId: JobId): Promise<void> {
  await untilSo('The job does not end', async () => (await admin.job(jobId)).state === 'verified');
  const { ledger } = await admin.job(jobId);
  expect(ledger).toMatchObject({ minMerged: 1, maxMerged: 1 });
  expect((await chain().job(jobId)).state).toBe('VERIFIED');
}

test.each([
  ['in a fold', 'fold.computed', 1],
  ['with a signed result', 'intent.signed', 2],
] as const)('halted %s, the other takes over: it leaves the job, nothing twice', async (_where, point, passing) => {
  const { jobId, halted, other, goOn, sent } = await haltMaster(point, passing);
  await takesOver(other, jobId);
  goOn();
  await untilSo('Halted one goes on with it', () => logged(halted, jobId, 'Job run ended'));
  expect(await halted.log(jobId)).toContain('store/claim-lost');
  expect((await halted.admin.workers()).filter((worker) => worker.jobId === jobId)).toEqual([]);

  await isFinishedBy(other, jobId);
  expect(await sent()).toBe(ACTS.length);
  expect(await logged(halted, jobId, 'Job left')).toBe(false);
});

test('killed, its files copied to the other: that goes on with the last stored round', async () => {
  const { jobId, halted, other, sent } = await haltMaster('round.opened', 2);
  const pid = pidOf(halted);
  process.kill(pid, 'SIGKILL');
  await waitUntilGone(pid);
  for (const name of ['blobs', 'jobs']) {
    await cp(join(halted.party.dataDir, name), join(other.party.dataDir, name), { recursive: true });
  }
  await takesOver(other, jobId);
  pair.network.restart(halted.party);

  await isFinishedBy(other, jobId);
  expect(await sent()).toBe(ACTS.length);
  expect(await logged(other, jobId, 'Job begins anew')).toBe(false);
  await untilSo('The first does not return', async () => (await halted.admin.workers()).length === 1);
  expect(await logged(halted, jobId, 'Job taken over')).toBe(false);
});
