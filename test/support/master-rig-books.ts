/** What must hold of a job that a master has finished with, however it went. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { countTokens, leaseKey, reportAudits } from '../../src/domain/audit';
import type { Sha256 } from '../../src/domain/ids';
import { canMove, type JobState } from '../../src/domain/job';
import { JobPlan } from '../../src/master/plan';
import { Manifest } from '../../src/protocol/manifest';
import type { JobRow } from '../../src/store/jobs';
import { type MasterRig, openMasterRig, type RigOptions } from './master-rig';
import { BLOCK_TOKENS } from './master-rig-child';

/** States that a timeline passes, as rows of a table write them. */
export const TO_TRAINING = 'queued claimed preparing training';
export const TO_SUBMITTED = `${TO_TRAINING} exporting submitting submitted`;
export const TO_VERIFIED = `${TO_SUBMITTED} verified`;
/** The transactions of a job that was done and paid. */
export const PAID = 'process submit payWorkers';

export interface Outcome {
  /** The job's states from the first to the last. */
  history: string;
  /** The master's transactions, in order. */
  mined: string;
  /** A part of the reason that the last state was given. */
  reason?: string | undefined;
  /** How often the master was started; 1 unless it was killed. */
  starts?: number | undefined;
}

/** One row of a table of timelines: what goes wrong, and how the job ends all the same. */
export interface Timeline extends Outcome {
  situation: string;
  outcome: string;
  options?: RigOptions;
  /** Plans the faults before the job is requested. */
  given?(rig: MasterRig): void;
  /** Acts while the job is under way. */
  act?(rig: MasterRig): Promise<void>;
  /** Looks at more than every row does. */
  check?(rig: MasterRig): void | Promise<void>;
}

/** A test of each row. */
export function playTimelines(rows: readonly Timeline[]): void {
  test.each(rows)(
    '$situation: $outcome',
    async ({ situation: _, outcome: __, options, given, act, check, ...expected }) => {
      await using rig = await openMasterRig(options);
      given?.(rig);
      rig.request();
      await act?.(rig);
      await expectOutcome(rig, expected);
      await check?.(rig);
    },
  );
}

/** Lets the job come to its end, compares how it went, and checks what must hold in any case. */
export async function expectOutcome(rig: MasterRig, expected: Outcome): Promise<void> {
  await rig.finish();
  const history = await rig.store.jobs.history(rig.jobId);
  const outcome = {
    history: history.map(({ state }) => state).join(' '),
    mined: rig.chain.mined.join(' '),
    starts: rig.starts,
  };
  const { reason = '', ...rest } = expected;
  // Said together, a failure shows what happened at one look.
  expect({ ...outcome, reason: history.at(-1)?.reason ?? '' }).toEqual({
    starts: 1,
    ...rest,
    reason: expect.stringContaining(reason),
  });
  await checkBooks(rig);
}

/** Ledger, money, files and workers of a job that is over. */
export async function checkBooks(rig: MasterRig): Promise<void> {
  const job = await rig.store.jobs.find(rig.jobId);
  if (!job) throw new Error('The master never heard of the job');
  const history = (await rig.store.jobs.history(rig.jobId)).map(({ state }) => state as JobState);
  const moves = history.slice(1).map((state, i) => [history[i]!, state] as const);
  expect(moves.filter(([from, to]) => !canMove(from, to))).toEqual([]);
  await checkLedger(rig, job);
  await checkMoney(rig, job);
  await checkRemains(rig, job);
  expect(rig.errors).toEqual([]);
}

async function checkLedger({ store, jobId }: MasterRig, job: JobRow): Promise<void> {
  const ranges = await store.ledger.listRanges(jobId);
  const plan = JobPlan.safeParse(job.plan).data;
  if (!plan || ranges.length === 0) return expect(job.state).not.toBe('verified');
  const ends = [0, ...ranges.map(({ end }) => end)];
  expect(ranges.map(({ start }) => start)).toEqual(ends.slice(0, -1));
  expect(ends.at(-1)).toBe(plan.totalBlocks);
  const { minMerged, maxMerged } = await store.ledger.audit(jobId, plan.prepared.epochBlocks);
  expect(maxMerged).toBeLessThanOrEqual(1);
  if (job.state === 'verified' && !plan.params.partial) expect([minMerged, maxMerged]).toEqual([1, 1]);
}

async function checkMoney({ chain, store, jobId, node, blobs, published, workers }: MasterRig, job: JobRow) {
  const times = (act: string) => chain.mined.filter((mined) => mined === act).length;
  const onChain = await chain.job(jobId);
  if (job.state !== 'verified') {
    expect(times('payWorkers')).toBe(0);
    // Nothing is left locked: what was taken was given back, or its end is for others to call.
    if (job.state !== 'failed') expect(onChain.node === node && onChain.state === 'PROCESSING').toBe(false);
    return;
  }
  expect([times('process') - times('decline'), times('submit'), times('payWorkers')]).toEqual([1, 1, 1]);
  const paid = [...chain.credits.values()].reduce((sum, amount) => sum + amount, 0n);
  expect(paid).toBe(chain.payoutWei(jobId));
  const [leases, audits] = await Promise.all([store.audits.merged(jobId), store.audits.list(jobId)]);
  const tokens = countTokens(leases, audits, node);
  const { refuted } = reportAudits(leases, audits, node);
  const merged = [...tokens.values()].reduce((sum, count) => sum + count.merged, 0);
  const plan = JobPlan.parse(job.plan);
  if (plan.params.partial) expect(merged).toBe((await store.ledger.merged(jobId)) * BLOCK_TOKENS);
  else expect(merged).toBe(plan.totalBlocks * BLOCK_TOKENS);
  const fuel = BigInt(merged) < job.fuelLimit ? BigInt(merged) : job.fuelLimit;
  expect(paid).toBe((job.feeWei * fuel) / job.fuelLimit);
  for (const share of job.result?.shares ?? []) {
    expect(share.tokens).toBe(tokens.get(share.worker)?.paid ?? 0);
    if (leases.some((lease) => lease.worker === share.worker && refuted.has(leaseKey(lease)))) continue;
    const worker = workers.find(({ address }) => address === share.worker);
    // A receipt that was sent never promised more than is paid, but for what later audits took from the pool.
    const planned = BigInt(merged);
    const all = [...tokens.values()].reduce((sum, count) => sum + BigInt(count.paid), 0n);
    const promised = worker?.receipts.map(
      ({ expectedWei }) => (expectedWei * planned) / (all > planned ? all : planned),
    );
    expect((promised ?? []).every((amountWei) => amountWei <= share.amountWei)).toBe(true);
  }
  const manifest = Manifest.parse(JSON.parse(await readFile(blobs.path(job.result!.manifest), 'utf8')));
  expect(manifest.payouts.map(({ amountWei }) => amountWei)).toEqual(
    job.result!.shares.map((share) => share.amountWei),
  );
  expect(published).toEqual(expect.arrayContaining(job.result!.blobs));
}

/** No child, file or lease is left, but the result and its evidence. */
async function checkRemains(rig: MasterRig, job: JobRow): Promise<void> {
  expect([...rig.children, ...rig.ownChildren].filter(({ isOpen }) => isOpen)).toEqual([]);
  for (const worker of rig.workers) {
    if (!worker.isConnected) continue;
    expect(worker.holdsLease).toBe(false);
    const openings = worker.heard.filter(({ type }) => type === 'job.open' || type === 'job.close');
    // A worker without a lease does not say what job it has open, so a restarted master does not know of it.
    if (rig.starts === 1 && openings.length > 0) expect(openings.at(-1)?.type).toBe('job.close');
  }
  await checkEvidence(rig, job);
}

/** The evidence of a submitted result stays, apart from what follows from it; of other jobs nothing does. */
async function checkEvidence(rig: MasterRig, job: JobRow): Promise<void> {
  const kept = job.result?.blobs ?? [];
  const { updates, thetas, rest } = await rig.store.rounds.evidence(rig.jobId);
  const isSubmitted = job.result !== undefined && (job.state === 'verified' || job.state === 'failed');
  const isHere = async (name: Sha256) => (await rig.blobs.stat(name)) !== undefined;
  const dir = join(rig.dataDir, 'jobs', rig.jobId);
  expect(existsSync(dir) ? await readdir(dir) : undefined).toEqual(isSubmitted ? [] : undefined);
  for (const name of [...kept, ...(isSubmitted ? [...updates, ...thetas] : [])]) expect(await isHere(name)).toBe(true);
  for (const name of isSubmitted ? rest : [...updates, ...thetas, ...rest])
    if (!kept.includes(name)) expect(await isHere(name)).toBe(false);
}
