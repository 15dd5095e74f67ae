/** What a worker may still fetch for its lease after the master was restarted. */
import { findLeaseBlobs } from '../../../src/master/lease-blobs';
import { grantRound, loseLease } from '../../../src/master/leases';
import { openTestJob, type TestJob } from '../../support/test-job';

let rig: TestJob | undefined;
afterEach(() => rig?.[Symbol.asyncDispose]());

async function openLeases() {
  rig = await openTestJob({ workers: [75, 25], blocks: 16 });
  await rig.gather();
  const { job, store } = rig;
  const round = (await grantRound(job))!;
  const [lease, other] = [...round.leases.values()];
  return { job, store, round, lease: lease!, other: other! };
}

test('held lease: shard and weights of its round', async () => {
  const { job, store, lease, other, round } = await openLeases();
  const { jobId } = job;
  const { leaseId, worker } = lease;
  expect(await findLeaseBlobs(store, worker, { jobId, leaseId })).toEqual([lease.shard, round.theta]);
  expect(await findLeaseBlobs(store, worker, { jobId, leaseId: other.leaseId })).toEqual([]);
  expect(await findLeaseBlobs(store, worker, { jobId, leaseId: 'made up' })).toEqual([]);
});

test('lease that is over: nothing', async () => {
  const { job, store, lease } = await openLeases();
  await loseLease(job, lease, 'as the test wishes');
  const held = { jobId: job.jobId, leaseId: lease.leaseId };
  expect(await findLeaseBlobs(store, lease.worker, held)).toEqual([]);
});
