/** Which workers of a job can take a lease. */
import { hashSeed } from '../../../src/domain/audit';
import { countMembers, openMember, readyMembers } from '../../../src/master/members';
import { openTestJob, type TestJob } from '../../support/test-job';

let rig: TestJob;
beforeEach(async () => {
  rig = await openTestJob({ workers: [50, 50, 50] });
});
afterEach(() => rig[Symbol.asyncDispose]());

test('worker opened: it is sent all it needs to get ready', async () => {
  const { job, workers } = rig;
  rig.connect(workers[0]!);
  await openMember(job, workers[0]!.address);
  const { params, prepared, totalBlocks, auditSeed } = job.plan;
  const { vocabSize } = prepared;
  expect(workers[0]!.heardOf('job.open')).toEqual([
    { type: 'job.open', jobId: job.jobId, params, vocabSize, totalBlocks, auditSeedHash: hashSeed(auditSeed) },
  ]);
});

test('ready members: in address order, whatever order they came in', async () => {
  const { job, workers, until } = rig;
  for (const worker of [...workers].reverse()) rig.connect(worker);
  await until(() => countMembers(job).ready === 3);
  expect(readyMembers(job)).toEqual(workers.map(({ address }) => address));
});

test('ready member cut: neither counted nor leased to', async () => {
  await rig.gather();
  rig.workers[1]!.cut();
  expect(countMembers(rig.job)).toEqual({ ready: 2, opening: 0 });
  expect(readyMembers(rig.job)).not.toContain(rig.workers[1]!.address);
});

test('member that is still getting ready: counted as opening', async () => {
  const { job, workers, until } = rig;
  workers[2]!.opens = 'silent';
  for (const worker of workers) rig.connect(worker);
  await until(() => countMembers(job).ready === 2);
  expect(countMembers(job)).toEqual({ ready: 2, opening: 1 });
});

test('member that has been opening for a minute: nobody waits for it', async () => {
  const { job, workers, clock, until } = rig;
  workers[2]!.opens = 'silent';
  for (const worker of workers) rig.connect(worker);
  await until(() => countMembers(job).ready === 2);
  const startedMs = clock.now();
  await until(() => clock.now() - startedMs >= 60_000);
  expect(countMembers(job)).toEqual({ ready: 2, opening: 0 });
  expect([...job.dismissed]).toEqual([]);
});
