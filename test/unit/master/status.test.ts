/** What the admin API shows of a job, with and without a master that works on it. */

import { describeJob, viewJob } from '../../../src/master/status';
import { runRounds } from '../../../src/master/training';
import { requestJob } from '../../support/request-job';
import { FEE_WEI, FUEL_LIMIT, letPass, node, openTestJob, type TestJob } from '../../support/test-job';

let rig: TestJob;
beforeEach(async () => {
  rig = await openTestJob();
  const { job, store } = rig;
  const { jobId, deadlineMs } = job;
  const terms = { dataset: 'sha256:data', params: '{}', feeWei: FEE_WEI, fuelLimit: FUEL_LIMIT, deadlineMs };
  await requestJob(store, { ...terms, id: jobId, requester: node, requestedBlock: 1 });
});
afterEach(() => rig[Symbol.asyncDispose]());

const row = async () => (await rig.store.jobs.find(rig.job.jobId))!;
/** The job as the master's run has it. */
const run = () => ({ jobId: rig.job.jobId, live: rig.job.live, plan: rig.job.plan, waitsFor: undefined });

test('job without a run: no progress', async () => {
  const view = viewJob(await row(), { workers: rig.fleet.view(), nowMs: rig.clock.now() });
  expect(view).toMatchObject({ jobId: rig.job.jobId, state: 'queued', feeWei: FEE_WEI.toString() });
  expect(view).not.toHaveProperty('progress');
});

test('run before its first fold: no estimate of the end', async () => {
  const view = viewJob(await row(), { run: run(), workers: [], nowMs: rig.clock.now() });
  expect(view.progress).toMatchObject({ round: 0, mergedBlocks: 0, totalBlocks: 16, startLoss: 5, tokensPerSecond: 0 });
  expect(view.progress?.etaSeconds).toBeUndefined();
});

test('a quarter merged in ten seconds: thirty more, less what has passed since', async () => {
  const { live } = rig.job;
  Object.assign(live, { mergedBlocks: 4, lastFoldMs: live.startedAtMs + 10_000 });
  const nowMs = live.lastFoldMs + 3000;
  expect(viewJob(await row(), { run: run(), workers: [], nowMs }).progress?.etaSeconds).toBe(27);
});

test('workers of several jobs: only those of this one that are connected count', async () => {
  const worker = {
    address: node,
    connected: true,
    ip: '',
    gflops: 1,
    announcedGflops: 1,
    jobId: rig.job.jobId,
    tokensPerSecond: 10,
  };
  const workers = [worker, { ...worker, connected: false }, { ...worker, jobId: undefined }];
  const view = viewJob(await row(), { run: run(), workers, nowMs: rig.clock.now() });
  expect(view.progress?.tokensPerSecond).toBe(10);
});

test('trained job in detail: its rounds, workers and history', async () => {
  rig.connect(rig.workers[0]!);
  let isOver = false;
  const trained = runRounds(rig.job).then(() => {
    isOver = true;
  });
  await letPass(rig.clock, () => isOver);
  await trained;
  const live = { run: run(), workers: rig.fleet.view(), nowMs: rig.clock.now() };
  const details = await describeJob(rig.store, await row(), live);
  expect(details.rounds).toMatchObject([0, 1, 2, 3].map((round) => ({ round, state: 'folded', updates: 1, scale: 1 })));
  expect(details.audits.passed).toBe(details.audits.drawn);
  expect(details.audits.drawn).toBeGreaterThan(0);
  const { address } = rig.workers[0]!;
  expect(details.workers).toMatchObject([{ address, utilisation: expect.any(Number) }]);
  // It trains 10 s of each lease, and its update is on its way for half a second.
  expect(details.progress?.utilisation?.[address]).toBeGreaterThan(0.9);
  expect(details.progress?.utilisation?.[address]).toBeLessThan(1);
  expect(details.history).toMatchObject([{ state: 'queued' }]);
  // Without a plan in its row nothing is known of its epochs.
  expect(details).not.toHaveProperty('ledger');
});

test('job with a plan: what its request left open is shown as it was settled', async () => {
  const planned = { ...(await row()), plan: rig.job.plan };
  const { settled } = await describeJob(rig.store, planned, { workers: [], nowMs: rig.clock.now() });
  const { codec, inner, outer, round } = rig.job.plan.params;
  const { optimiser, lr, muonLr } = inner;
  expect(settled).toEqual({ round, inner: { optimiser, lr, muonLr }, outer, codec });
});

test('verifier misses something: what and since when is shown, without its signature', async () => {
  const { jobId } = rig.job;
  const request = { verifier: node, reference: 'sha256:gone', atMs: 5, signature: `0x${'12'.repeat(65)}` };
  await rig.store.evidenceRequests.put(jobId, request);
  const { evidenceRequests } = await describeJob(rig.store, await row(), { workers: [], nowMs: rig.clock.now() });
  expect(evidenceRequests).toEqual([{ verifier: node, reference: 'sha256:gone', atMs: 5 }]);
});
