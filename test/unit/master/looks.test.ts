/** When a master looks at a job again, and how many it claims at once. */
import { node } from '../../support/test-job';
import { EMT, openScheduler, result, stranger, submitted } from '../../support/test-scheduler';
import { jobId } from '../../support/worker-messages';

describe('looks', () => {
  test('data set missing for a while: looked at again, and taken', async () => {
    await using master = await openScheduler();
    master.sizes.set('sha256:missing', -1);
    await master.request({ id: '1', dataset: 'sha256:missing' });
    master.start();
    await master.pass(3000);
    expect(master.stateOf('1')).toBe('skipped');
    master.sizes.set('sha256:missing', 1000);
    await master.pass(20_000);
    expect(master.stateOf('1')).toBe('training');
  });

  test('fee too high, then other settings: considered at the next start', async () => {
    await using master = await openScheduler({ maxFeeWei: 2n * EMT });
    await master.request({ id: '1' });
    master.start();
    await master.pass(3000);
    expect(await master.reasonOf('1')).toMatch(/more than max_fee/);
    await master.restart({ maxFeeWei: 100n * EMT });
    await master.pass(3000);
    expect(master.stateOf('1')).toBe('training');
  });

  test('unreadable parameters: not even looked at by the next start', async () => {
    await using master = await openScheduler();
    await master.request({ id: '1', params: '{"epoch":1}' });
    master.start();
    await master.pass(3000);
    await master.restart();
    await master.pass(1_000_000);
    expect(master.stateOf('1')).toBe('skipped');
    expect(await master.store.jobs.history(jobId('1'))).toHaveLength(2);
  });

  test('job of this master that no run works on: taken up within seconds', async () => {
    await using master = await openScheduler();
    master.start();
    await master.pass(3000);
    await master.request({ id: '1' });
    await master.store.jobs.claim(jobId('1'), node);
    await master.pass(6000);
    expect(master.scheduler.find(jobId('1'))?.state).toBe('training');
  });

  test('idle job that the chain says this node has: taken up', async () => {
    await using master = await openScheduler({ workers: [] });
    await master.request({ id: '1' });
    await master.store.jobs.skip(jobId('1'), 'queued', { reason: 'a mistake' });
    await master.store.jobs.applyChain([{ jobId: jobId('1'), state: 'PROCESSING', node }]);
    master.start();
    await master.pass(6000);
    expect(master.stateOf('1')).toBe('skipped');
    master.onChain.set(jobId('1'), { state: 'PROCESSING', node });
    await master.pass(6000);
    expect(master.stateOf('1')).toBe('training');
  });

  test('job that ended under another master, and is of this node on chain: taken up', async () => {
    await using master = await openScheduler({ workers: [] });
    await master.request({ id: '1' });
    await master.store.jobs.claim(jobId('1'), stranger);
    await master.store.jobs.applyChain([{ jobId: jobId('1'), state: 'PROCESSING', node }]);
    await master.store.jobs.move(jobId('1'), 'claimed', 'failed', { reason: 'another node has it' });
    master.onChain.set(jobId('1'), { state: 'PROCESSING', node });
    master.start();
    await master.pass(6000);
    expect(master.stateOf('1')).toBe('training');
  });

  test('counts as given back after an outdated answer, and is of this node: given back', async () => {
    await using master = await openScheduler({ workers: [] });
    await master.request({ id: '1' });
    await master.store.jobs.claim(jobId('1'), node);
    await master.store.jobs.applyChain([{ jobId: jobId('1'), state: 'PROCESSING', node }]);
    await master.store.jobs.move(jobId('1'), 'claimed', 'declining', { reason: 'no worker' });
    await master.store.jobs.move(jobId('1'), 'declining', 'declined', { reason: 'no worker' });
    master.onChain.set(jobId('1'), { state: 'PROCESSING', node });
    master.start();
    await master.pass(6000);
    expect([master.stateOf('1'), await master.reasonOf('1')]).toEqual(['declining', 'no worker']);
  });

  test('left for want of workers, then taken by another node: not looked at again', async () => {
    await using master = await openScheduler();
    await master.request({ id: '1', deadlineMs: 50_000 });
    master.start();
    await master.pass(3000);
    expect(await master.reasonOf('1')).toMatch(/with the idle workers/);
    await master.store.jobs.applyChain([{ jobId: jobId('1'), state: 'PROCESSING', node: stranger }]);
    const { reason, lookAtMs } = (await master.store.jobs.find(jobId('1'))) ?? {};
    expect({ reason, lookAtMs }).toEqual({ reason: `taken by node ${stranger}` });
  });

  test('disk without room for it: not taken, said how much, and taken when there is room', async () => {
    await using master = await openScheduler();
    master.disk.room = 1000;
    await master.request({ id: '1' });
    master.start();
    await master.pass(3000);
    expect(master.stateOf('1')).toBe('skipped');
    expect(await master.reasonOf('1')).toMatch(/^it needs about .* of this master's disk, which has room for 1\.0 kB$/);
    master.disk.room = 1e9;
    await master.pass(60_000);
    expect(master.stateOf('1')).toBe('training');
  });

  test('disk below its floor once a job is claimed: it waits, makes room, and comes back', async () => {
    await using master = await openScheduler();
    await master.request({ id: '1' });
    await master.store.jobs.claim(jobId('1'), node);
    master.disk.room = -1;
    master.start();
    await master.pass(10_000);
    expect(master.stateOf('1')).toBe('claimed');
    // Another master on the queue may have room.
    await master.pass(30_000);
    expect([master.stateOf('1'), await master.reasonOf('1')]).toEqual(['skipped', expect.stringMatching(/disk/)]);
    master.disk.room = 1e9;
    await master.pass(60_000);
    expect(master.stateOf('1')).toBe('training');
  });

  test('memory that the model alone exceeds: not taken', async () => {
    await using master = await openScheduler({ memoryBytes: 1000 });
    await master.request({ id: '1' });
    master.start();
    await master.pass(3000);
    expect(await master.reasonOf('1')).toMatch(/of this master's memory, which has 1\.0 kB$/);
  });

  test('nine data sets on servers that do not answer: others are taken meanwhile', async () => {
    await using master = await openScheduler();
    for (const id of '123456789') {
      master.stalls.add(`sha256:${id}`);
      await master.request({ id });
    }
    await master.request({ id: 'a', feeWei: 2n * EMT });
    master.start();
    await master.pass(15_000);
    expect(master.stateOf('a')).toBe('training');
  });

  test('database away for a while: told once, and goes on', async () => {
    await using master = await openScheduler();
    master.breaks.isAway = true;
    await master.request({ id: '1' });
    master.start();
    await master.pass(100_000);
    master.breaks.isAway = false;
    await master.pass(12_000);
    expect(master.stateOf('1')).toBe('training');
    expect(master.log.filter((line) => line.startsWith('Scheduling'))).toEqual([
      'Scheduling waits',
      'Scheduling goes on',
    ]);
  });
});

describe('claims', () => {
  test('two jobs and one idle worker: only one is claimed', async () => {
    await using master = await openScheduler({ maxJobs: 2, isStuck: true });
    await master.request({ id: '1' });
    await master.request({ id: '2' });
    master.start();
    await master.pass(10_000);
    expect(['1', '2'].map(master.stateOf).sort()).toEqual(['claimed', 'queued']);
  });

  test('two jobs and two idle workers, 1v1: both are claimed', async () => {
    await using master = await openScheduler({ maxJobs: 2, isStuck: true, workers: [50, 50], cooperative: '1v1' });
    await master.request({ id: '1' });
    await master.request({ id: '2' });
    master.start();
    await master.pass(10_000);
    expect(['1', '2'].map(master.stateOf)).toEqual(['claimed', 'claimed']);
  });

  test('job that waits for its verdict: worker and place are free for the next', async () => {
    await using master = await openScheduler();
    await master.request({ id: '1' });
    await master.store.jobs.claim(jobId('1'), node);
    for (const [from, to] of submitted) await master.store.jobs.move(jobId('1'), from, to, { result });
    master.onChain.set(jobId('1'), { state: 'SUBMITTED', node, deadlineMs: 1e15 });
    await master.request({ id: '2' });
    master.start();
    await master.pass(5000);
    expect([master.stateOf('1'), master.stateOf('2')]).toEqual(['submitted', 'training']);
    expect(master.workers.map(master.jobOf)).toEqual([jobId('2')]);
  });
});
