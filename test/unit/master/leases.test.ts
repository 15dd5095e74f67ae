/** How a round's blocks get to its workers, come back, and survive a restart. */
import { readFile } from 'node:fs/promises';
import { muonParameters } from '../../../src/domain/job-fit';
import { grantLate, grantRound, loseLease, resumeRound, returnLease } from '../../../src/master/leases';
import { sizeOfPlan } from '../../../src/master/plan';
import type { LiveLease, RoundState } from '../../../src/master/round-state';
import { openTestJob, setMeasured, type TestJob } from '../../support/test-job';
import { blobName } from '../../support/worker-messages';

let rig: TestJob | undefined;
afterEach(() => rig?.[Symbol.asyncDispose]());

/** A job whose workers are ready and train only when the test lets them. */
async function openReady(workers: readonly number[], blocks = 16): Promise<TestJob> {
  rig = await openTestJob({ workers, blocks });
  await rig.gather();
  return rig;
}

const ranges = (round: RoundState | undefined) =>
  [...(round?.leases.values() ?? [])].map(({ start, end }) => [start, end]);
const first = (round: RoundState | undefined): LiveLease => [...round!.leases.values()][0]!;

async function returnAll(job: TestJob['job'], round: RoundState): Promise<void> {
  for (const lease of round.leases.values()) await returnLease(job, lease, 'as the test wishes');
}

describe('grantRound', () => {
  test('two workers that announced unequal speeds: equal parts, each block once', async () => {
    const { job, workers } = await openReady([75, 25]);
    const round = await grantRound(job);
    expect(ranges(round)).toEqual([
      [0, 4],
      [4, 8],
    ]);
    expect([...round!.leases.values()].map(({ worker }) => worker)).toEqual(workers.map(({ address }) => address));
    expect(await job.deps.store.ledger.available(job.jobId)).toBe(8);
  });

  test('granted lease: the worker is sent its shard, the weights and the time it has', async () => {
    const { job, workers, blobs } = await openReady([50]);
    const round = await grantRound(job);
    const [grant] = workers[0]!.heardOf('lease.grant');
    expect(grant).toMatchObject({ round: 0, start: 0, end: 4, deadlineMs: 60_000, leaseId: first(round).leaseId });
    expect(grant!.theta.sha256).toBe(job.plan.theta0);
    expect(grant).not.toHaveProperty('delta');
    expect(await blobs.stat(grant!.shard.sha256)).toEqual({ bytes: grant!.shard.bytes });
  });

  test('one shard waits for the disk: the next is cut and sent meanwhile', async () => {
    const { job, workers, blobs } = await openReady([50, 50]);
    let isSecondSent = () => {};
    const secondSent = new Promise<void>((resolve) => (isSecondSent = resolve));
    const slowFirst = Object.assign(Object.create(blobs) as typeof blobs, {
      async add(path: string, options: { move: boolean }) {
        const isFirst = (await readFile(path, 'utf8')).endsWith(' 0-4');
        if (isFirst) await secondSent;
        return blobs.add(path, options);
      },
    });
    const send: typeof job.deps.fleet.send = (worker, message) => {
      if (worker === workers[1]!.address) isSecondSent();
      job.deps.fleet.send(worker, message);
    };
    const fleet = Object.assign(Object.create(job.deps.fleet) as typeof job.deps.fleet, { send });
    const round = await grantRound({ ...job, deps: { ...job.deps, blobs: slowFirst, fleet } });
    expect(ranges(round)).toEqual([
      [0, 4],
      [4, 8],
    ]);
  });

  test('one shard cannot be stored: the other lease goes on, its blocks are returned', async () => {
    const { job, workers, blobs } = await openReady([50, 50]);
    const broken = Object.assign(Object.create(blobs) as typeof blobs, {
      async add(path: string, options: { move: boolean }) {
        if ((await readFile(path, 'utf8')).endsWith(' 0-4')) throw new Error('as the test wishes');
        return blobs.add(path, options);
      },
    });
    const faulty = { ...job, deps: { ...job.deps, blobs: broken } };
    await expect(grantRound(faulty)).rejects.toThrow('as the test wishes');
    expect(workers.map((worker) => worker.heardOf('lease.grant').length)).toEqual([0, 1]);
    expect(ranges(await resumeRound(faulty))).toEqual([[4, 8]]);
    expect(await job.deps.store.ledger.available(job.jobId)).toBe(12);
  });

  test('slow worker: a probe, and twice the time that it should take', async () => {
    const { job, workers } = await openReady([1e-6]);
    const round = await grantRound(job);
    expect(ranges(round)).toEqual([[0, 1]]);
    const parameters = job.plan.parameters + muonParameters(sizeOfPlan(job.plan), 64);
    const expectedMs = (1000 * 64 * 6 * parameters) / (1e-6 * 1e9 * 0.125);
    expect(round!.deadlineMs - job.deps.clock.now()).toBe(Math.ceil(2 * expectedMs));
    expect(workers[0]!.heardOf('lease.grant')[0]!.deadlineMs).toBe(Math.ceil(2 * expectedMs));
  });

  test('measured speed of proven workers: shares and deadline follow it', async () => {
    const { job, workers } = await openReady([75, 25]);
    setMeasured(job, workers, 0.01, 0.03);
    const round = await grantRound(job);
    expect(ranges(round)).toEqual([
      [0, 2],
      [2, 8],
    ]);
    expect(round!.deadlineMs - job.deps.clock.now()).toBe(400_000);
  });

  test('worker free while the other is at a round: a part that ends with it, once', async () => {
    const { job, workers } = await openReady([50, 50]);
    setMeasured(job, workers, 0.1, 0.1);
    job.members.delete(workers[1]!.address);
    const round = await grantRound(job);
    expect(ranges(round)).toEqual([[0, 4]]);
    await grantLate(job, round!, round!.deadlineMs);
    expect(ranges(round)).toEqual([[0, 4]]);
    job.members.set(workers[1]!.address, 'ready');
    await grantLate(job, round!, round!.deadlineMs);
    await grantLate(job, round!, round!.deadlineMs);
    const late = { worker: workers[1]!.address, start: 4, end: 7 };
    expect([...round!.leases.values()]).toMatchObject([{ worker: workers[0]!.address }, late]);
    expect(workers[1]!.heardOf('lease.grant')).toMatchObject([{ round: 0, start: 4, end: 7 }]);
  });

  test('worker free while the other is at a round that closes before that: nothing', async () => {
    const { job, workers, clock } = await openReady([50, 50]);
    setMeasured(job, workers, 0.1, 0.1);
    job.members.delete(workers[1]!.address);
    const round = await grantRound(job);
    job.members.set(workers[1]!.address, 'ready');
    await grantLate(job, round!, clock.now() + 10_000);
    expect(ranges(round)).toEqual([[0, 4]]);
  });

  test('measured speed is high: leaseMs all the same, and twice what the link takes', async () => {
    const { job, workers } = await openReady([50]);
    setMeasured(job, workers, 1000);
    const first = await grantRound(job);
    expect(first!.deadlineMs - job.deps.clock.now()).toBe(job.settings.leaseMs);
    await returnAll(job, first!);
    const slow = { bytes: 0, bytesPerSecond: sizeOfPlan(job.plan).trainable / 10 };
    Object.assign(job.deps.fleet.peer(workers[0]!.address)!, { traffic: { sent: slow, received: slow } });
    // 40 s for the weights to the worker, as many for its update; the training itself takes 4 ms.
    expect((await grantRound(job))!.deadlineMs - job.deps.clock.now()).toBe(160_008);
  });

  test('no worker is ready: no round is opened', async () => {
    const { job } = await openReady([50]);
    job.members.clear();
    expect(await grantRound(job)).toBeUndefined();
    expect(await job.deps.store.rounds.latest(job.jobId)).toBeUndefined();
  });

  test('worker cut after the plan was made: its lease counts as away from the start', async () => {
    const { job, workers } = await openReady([50]);
    const [worker] = workers;
    const { coordinator } = job;
    const cutting: typeof job = {
      ...job,
      coordinator: {
        run: (command, answer) => {
          worker!.cut();
          return coordinator.run(command, answer);
        },
      },
    };
    expect(first(await grantRound(cutting))).toMatchObject({ state: 'running', awaySinceMs: job.deps.clock.now() });
  });

  test('round after a fold: its number and weights follow, the step is offered too', async () => {
    const { job, workers, blobs } = await openReady([50]);
    const { store } = job.deps;
    await store.rounds.open(job.jobId, 0, job.plan.theta0);
    const { sha256: delta, bytes } = await blobs.addBytes(Buffer.from('the step'));
    const nextTheta = blobName('e');
    const fold = { jobId: job.jobId, round: 0, nextTheta, delta, outer: blobName('f'), scale: 1 };
    await store.rounds.fold({ ...fold, leases: [] });
    const round = await grantRound(job);
    expect(round).toMatchObject({ round: 1, theta: nextTheta });
    expect(workers[0]!.heardOf('lease.grant')[0]!.delta).toEqual({
      base: job.plan.theta0,
      blob: { sha256: delta, bytes },
    });
  });
});

describe('loseLease', () => {
  test('lease lost: blocks available again, lease revoked with the reason', async () => {
    const { job, workers } = await openReady([50]);
    const lease = first(await grantRound(job));
    await loseLease(job, lease, 'as the test wishes');
    expect(lease.state).toBe('lost');
    expect(await job.deps.store.ledger.available(job.jobId)).toBe(16);
    expect(workers[0]!.heardOf('lease.revoke')).toEqual([
      { type: 'lease.revoke', leaseId: lease.leaseId, reason: 'as the test wishes' },
    ]);
  });

  test('three leases lost in a row: the worker leaves the job, its speed is forgotten', async () => {
    const { job, workers, store } = await openReady([50, 50]);
    const { address } = workers[0]!;
    await store.workers.addAccepted(address, 5);
    for (const isLast of [false, false, true]) {
      const round = await grantRound(job);
      await loseLease(job, first(round), 'as the test wishes');
      await returnAll(job, round!);
      expect(job.dismissed.has(address)).toBe(isLast);
    }
    expect(workers[0]!.heardOf('job.close')[0]!.reason).toContain('too many of its leases were lost');
    expect(await store.workers.findRecord(address)).toMatchObject({ accepted: 1, gflops: undefined });
  });

  test('three leases lost by the only worker: it stays, as nobody else could do the job', async () => {
    const { job } = await openReady([50]);
    for (let i = 0; i < 3; i++) await loseLease(job, first(await grantRound(job)), 'as the test wishes');
    expect(job.dismissed.size).toBe(0);
    expect(await grantRound(job)).toBeDefined();
  });

  test('leases returned without a fault of the worker: they do not count', async () => {
    const { job } = await openReady([50]);
    for (let i = 0; i < 4; i++) await returnAll(job, (await grantRound(job))!);
    expect(job.dismissed.size).toBe(0);
  });
});

describe('resumeRound', () => {
  test('nothing was open: undefined', async () => {
    const { job } = await openReady([50]);
    expect(await resumeRound(job)).toBeUndefined();
  });

  test('leases of an open round: running, and away until their workers return', async () => {
    const { job, reopen } = await openReady([75, 25]);
    const round = await grantRound(job);
    const resumed = await resumeRound(await reopen());
    expect(ranges(resumed)).toEqual(ranges(round));
    // 20 s to return: the rule allows 30 s of absence, so they count as away for 10 s already.
    const awaySinceMs = job.deps.clock.now() - 10_000;
    expect([...resumed!.leases.values()]).toMatchObject([{ awaySinceMs }, { awaySinceMs }]);
  });

  test('committed lease with its update there: ready to be folded', async () => {
    const { job, reopen, until } = await openReady([50]);
    const round = await grantRound(job);
    await until(() => round!.ready().length === 1, round);
    const [lease] = (await resumeRound(await reopen()))!.ready();
    expect(lease).toMatchObject({ leaseId: first(round).leaseId, work: first(round).work });
  });

  test('committed lease whose update is gone: trained again', async () => {
    const { job, reopen, until, blobs } = await openReady([50]);
    const round = await grantRound(job);
    await until(() => round!.ready().length === 1, round);
    await blobs.remove(first(round).work!.update.sha256);
    const resumed = await resumeRound(await reopen());
    expect(resumed!.ready()).toEqual([]);
    expect(resumed!.unsettled()).toHaveLength(1);
  });

  test('every lease was released: the round is leased again', async () => {
    const { job, reopen } = await openReady([50]);
    const round = await grantRound(job);
    await loseLease(job, first(round), 'as the test wishes');
    expect(await resumeRound(await reopen())).toBeUndefined();
    expect((await grantRound(job))!.round).toBe(0);
  });
});
