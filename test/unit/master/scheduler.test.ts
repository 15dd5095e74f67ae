/** Which jobs a master takes, and which workers each of them gets. */
import { PlayedWorker } from '../../support/master-rig-worker';
import { node } from '../../support/test-job';
import { EMT, type Offer, openScheduler, stranger } from '../../support/test-scheduler';
import { jobId } from '../../support/worker-messages';

describe('choice', () => {
  test('several jobs: the best paid is taken first, the others wait', async () => {
    await using master = await openScheduler();
    await master.request({ id: '1', feeWei: 5n * EMT });
    await master.request({ id: '2', feeWei: 20n * EMT });
    await master.request({ id: '3', feeWei: 9n * EMT });
    master.start();
    await master.pass(3000);
    expect(['1', '2', '3'].map(master.stateOf)).toEqual(['queued', 'training', 'queued']);
  });

  test('maxJobs of two: the two best paid', async () => {
    await using master = await openScheduler({ maxJobs: 2, workers: [50, 50], cooperative: '1v1' });
    for (const [id, feeWei] of Object.entries({ 1: 5n * EMT, 2: 20n * EMT, 3: 9n * EMT })) {
      await master.request({ id, feeWei });
    }
    master.start();
    await master.pass(5000);
    expect(['1', '2', '3'].map(master.stateOf)).toEqual(['queued', 'training', 'training']);
  });

  test('no idle worker: nothing is considered', async () => {
    await using master = await openScheduler({ workers: [] });
    await master.request({ id: '1', feeWei: 1n });
    master.start();
    await master.pass(5000);
    expect(master.stateOf('1')).toBe('queued');
  });

  test.each<[string, Partial<Offer>, RegExp]>([
    ['pay too low for its fuel limit', { fuelLimit: 10n ** 9n }, /less than min_fee/],
    ['fee too high', { feeWei: 1000n * EMT }, /more than max_fee/],
    ['deadline passed', { deadlineMs: 0 }, /has passed/],
    ['deadline too near', { deadlineMs: 30_000 }, /needs about 60 s with the idle workers/],
    ['unreadable parameters', { params: '{"epoch":1}' }, /parameters cannot be used/],
    ['data set missing', { dataset: 'sha256:missing' }, /There is no data set/],
  ])('%s: skipped with the reason, and the next job is taken', async (_situation, offer, reason) => {
    await using master = await openScheduler();
    master.sizes.set('sha256:missing', -1);
    await master.request({ id: '1', feeWei: 50n * EMT, ...offer });
    await master.request({ id: '2', feeWei: 2n * EMT });
    master.start();
    await master.pass(3000);
    expect([master.stateOf('1'), master.stateOf('2')]).toEqual(['skipped', 'training']);
    expect(await master.reasonOf('1')).toMatch(reason);
  });

  test('too slow for the deadline: looked at again when faster workers may have come', async () => {
    await using master = await openScheduler({ workers: [1e-6] });
    await master.request({ id: '1', deadlineMs: 600_000 });
    master.start();
    await master.pass(3000);
    expect(master.stateOf('1')).toBe('skipped');
    new PlayedWorker(9, 50, master.clock).connect(master.door);
    await master.pass(20_000);
    expect(master.stateOf('1')).toBe('training');
  });

  test('claimed by another master meanwhile: left to it', async () => {
    await using master = await openScheduler();
    await master.request({ id: '1' });
    await master.store.jobs.claim(jobId('1'), stranger);
    master.start();
    await master.pass(3000);
    expect(master.stateOf('1')).toBe('claimed');
    expect(master.scheduler.find(jobId('1'))).toBeUndefined();
  });
});

test('fuel limit that its packed data never come to: skipped once they are counted', async () => {
  await using master = await openScheduler();
  master.sizes.set('sha256:1', 10_000);
  // Sixteen blocks of 64 tokens: a four-hundredth of the fee, which is below min_fee.
  await master.request({ id: '1', fuelLimit: 400_000n });
  master.start();
  await master.pass(3000);
  expect(master.stateOf('1')).toBe('skipped');
  expect(await master.reasonOf('1')).toMatch(/^Its data come to 1024 tokens, .* less than min_fee/);
});

describe('job with a base', () => {
  const base = { parameters: 1e6, trainable: 1e4, baseBytes: 2e6, layers: 2, width: 64, hidden: 256, vocabSize: 300 };
  const params = JSON.stringify({ base: 'hf:org/model', tune: 'lora', model: { context: 16 }, batch: 1, epochs: 1 });

  test.each([
    ['the devices of all workers', 2 ** 45, /MiB on a device, and no idle worker/],
    ["the node's disk", 2 ** 31, /of this master's disk/],
  ])('base larger than %s: not taken, and nothing of it is fetched', async (_what, baseBytes, words) => {
    await using master = await openScheduler({ base: { ...base, baseBytes, parameters: baseBytes / 2 } });
    master.disk.room = 2 ** 30;
    await master.request({ id: '1', params });
    master.start();
    await master.pass(3000);
    expect(master.stateOf('1')).toBe('skipped');
    expect(await master.reasonOf('1')).toMatch(words);
  });

  test('base that fits: claimed', async () => {
    await using master = await openScheduler({ base });
    await master.request({ id: '1', params });
    master.start();
    await master.pass(3000);
    expect(master.stateOf('1')).toBe('claimed');
  });
});

describe('restart', () => {
  test('job of this master: taken up again; that of another master is not', async () => {
    await using master = await openScheduler();
    for (const [id, owner] of Object.entries({ 1: node, 2: stranger })) {
      await master.request({ id });
      await master.store.jobs.claim(jobId(id), owner);
    }
    master.start();
    await master.pass(3000);
    expect([master.stateOf('1'), master.stateOf('2')]).toEqual(['training', 'claimed']);
  });

  test('worker returns with a lease of a training job: it is assigned to it', async () => {
    await using master = await openScheduler();
    await master.request({ id: '1' });
    master.start();
    await master.pass(3000);
    const { scheduler } = master;
    expect(scheduler.findAssignment({ jobId: jobId('1') })).toMatchObject({ kind: 'job', jobId: jobId('1') });
    expect(scheduler.findAssignment({ jobId: jobId('2') })).toBeUndefined();
  });

  test('worker returns with a lease while its job is still prepared: not assigned', async () => {
    await using master = await openScheduler({ isStuck: true });
    await master.request({ id: '1' });
    master.start();
    await master.pass(3000);
    expect(master.scheduler.find(jobId('1'))?.state).toBe('claimed');
    expect(master.scheduler.findAssignment({ jobId: jobId('1') })).toBeUndefined();
  });
});

describe('workers', () => {
  test('nvm, one job: it gets them all', async () => {
    await using master = await openScheduler({ workers: [10, 30, 20] });
    await master.request({ id: '1' });
    master.start();
    await master.pass(3000);
    expect(master.workers.map(master.jobOf)).toEqual([jobId('1'), jobId('1'), jobId('1')]);
    expect(master.fleet.idle()).toEqual([]);
  });

  test('1v1: the job gets the fastest alone', async () => {
    await using master = await openScheduler({ workers: [10, 30, 20], cooperative: '1v1' });
    await master.request({ id: '1' });
    master.start();
    await master.pass(5000);
    expect(master.workers.map(master.jobOf)).toEqual([undefined, jobId('1'), undefined]);
  });

  test('worker connects while a job trains: it joins at once', async () => {
    await using master = await openScheduler();
    await master.request({ id: '1' });
    master.start();
    await master.pass(3000);
    const late = new PlayedWorker(9, 50, master.clock);
    late.connect(master.door);
    expect(master.jobOf(late)).toBe(jobId('1'));
  });

  test('two jobs want one worker: the earlier deadline gets it', async () => {
    await using master = await openScheduler({ workers: [], cooperative: '1v1' });
    for (const [id, deadlineMs] of Object.entries({ 1: 7_200_000, 2: 3_600_000 })) {
      await master.request({ id, deadlineMs });
      await master.store.jobs.claim(jobId(id), node);
    }
    master.start();
    await master.pass(3000);
    const worker = new PlayedWorker(9, 50, master.clock);
    worker.connect(master.door);
    expect(master.jobOf(worker)).toBe(jobId('2'));
  });

  test('dismissed worker: idle, but not given to the same job again', async () => {
    await using master = await openScheduler();
    const [worker] = master.workers;
    worker!.opens = 'failed';
    await master.request({ id: '1' });
    master.start();
    await master.pass(5000);
    expect(master.stateOf('1')).toBe('training');
    expect(master.jobOf(worker!)).toBeUndefined();
    expect(worker!.heardOf('job.open')).toHaveLength(1);
  });
});
