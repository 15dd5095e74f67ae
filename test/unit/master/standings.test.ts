/** A worker's speed by the master's clock, whatever it claims itself. */
import type { Address } from '../../../src/domain/ids';
import { muonParameters } from '../../../src/domain/job-fit';
import { grantRound } from '../../../src/master/leases';
import { sizeOfPlan } from '../../../src/master/plan';
import { handleEvent } from '../../../src/master/round-events';
import type { LiveLease, RoundState } from '../../../src/master/round-state';
import { measureSeconds, standingOf } from '../../../src/master/standings';
import { openTestJob, type TestJob, type TestJobOptions } from '../../support/test-job';

let rig: TestJob | undefined;
afterEach(() => rig?.[Symbol.asyncDispose]());

async function openReady(options: TestJobOptions = {}): Promise<TestJob> {
  rig = await openTestJob(options);
  await rig.gather();
  return rig;
}

const first = (round: RoundState | undefined): LiveLease => [...round!.leases.values()][0]!;
/** Lets the workers of a new round train it. */
async function trainRound({ job, until }: TestJob): Promise<RoundState> {
  const round = (await grantRound(job))!;
  await until(() => round.ready().length === round.leases.size, round);
  return round;
}

test('worker claims 0 s for 10 s: the measured speed counts, the gap is noted', async () => {
  const test = await openReady();
  const [worker] = test.workers;
  worker!.claimedSeconds = 0;
  await trainRound(test);
  const standing = standingOf(test.job, worker!.address);
  expect(standing).toMatchObject({ accepted: 1, isMeasuredHere: true });
  expect(standing.blocksPerSecond).toBeCloseTo(0.4, 2);
  expect(test.log).toContain('Worker claims another time than was measured');
});

test('worker claims the true time: nothing is noted', async () => {
  const test = await openReady();
  await trainRound(test);
  expect(test.log).not.toContain('Worker claims another time than was measured');
});

test('accepted leases: counted and measured beyond the job', async () => {
  const test = await openReady();
  for (let round = 0; round < 3; round++) {
    await trainRound(test);
    for (const lease of await test.store.ledger.listLeases(test.job.jobId)) await release(test, lease.leaseId);
  }
  const { address } = test.workers[0]!;
  const { accepted, gflops } = await test.store.workers.findRecord(address);
  const { parameters } = test.job.plan;
  const blockGflop = (6 * (parameters + muonParameters(sizeOfPlan(test.job.plan), 64)) * 64) / 1e9;
  expect(accepted).toBe(3);
  expect(gflops).toBeCloseTo(0.4 * blockGflop, 5);
  const known = await openAgain(test, address);
  expect(known).toMatchObject({ limit: Infinity, isMeasuredHere: false });
  expect(known.blocksPerSecond).toBeCloseTo(0.4, 2);
});

test('blobs on their way: their time at the link’s best rate is not training', async () => {
  const test = await openReady();
  const { job, workers } = test;
  workers[0]!.fates.push('is silent');
  const lease = first(await grantRound(job));
  const traffic = (bytes: number, bytesPerSecond: number | undefined) => {
    const sent = { bytes, bytesPerSecond };
    Object.assign(job.deps.fleet.peer(lease.worker)!, { traffic: { sent, received: { bytes, bytesPerSecond } } });
    return measureSeconds(job, lease, lease.grantedAtMs + 10_000);
  };
  expect(traffic(3e6, undefined)).toBe(10);
  expect(traffic(3e6, 1e6)).toBe(7);
  // A worker that pulls slowly does not look faster than twice what it is.
  expect(traffic(9e6, 1e6)).toBe(5);
});

test('worker away in mid-lease: its speed is not measured by that lease', async () => {
  const { job, workers, door, until } = await openReady();
  const round = (await grantRound(job))!;
  workers[0]!.cut();
  workers[0]!.connect(door);
  await until(() => round.ready().length === 1, round);
  expect(standingOf(job, workers[0]!.address)).toMatchObject({ accepted: 1, isMeasuredHere: false });
});

async function release({ store }: TestJob, leaseId: string): Promise<void> {
  await store.ledger.release(leaseId, 'as the test wishes');
}

/** The standing that the worker has when it joins after a restart of the master. */
async function openAgain({ reopen, workers, connect, until }: TestJob, address: Address) {
  const job = await reopen();
  workers[0]!.cut();
  connect(workers[0]!);
  await until(() => true);
  await handleEvent(job, undefined, { type: 'join', worker: address, held: undefined });
  return standingOf(job, address);
}
