/** Faults of the whole system: a worker and a master killed. */
import { makeText, startNetwork, tinyParams } from '../support/network';

// 1,000 blocks of 4 × 32 tokens: about twenty rounds of two workers, so that a kill hits the middle of one.
const TEXT = makeText(150_000);

test('worker killed in mid-round: verified, each block merged once, both workers paid', async () => {
  await using network = await startNetwork({ workers: 2 });
  const before = await network.totalTokens();
  const jobId = await network.request(await network.writeText('text.txt', TEXT), { ...tinyParams, epochs: 1.5 });
  await network.until(jobId, 'No round has two updates', ({ rounds }) => rounds.some(({ updates }) => updates === 2));
  const [victim] = network.workers;
  process.kill(victim?.pid ?? 0, 'SIGKILL');

  const job = await network.until(jobId, 'The job does not end', (details) => details.state === 'verified');
  expect(job.ledger).toMatchObject({ minMerged: 1, maxMerged: 1 });
  expect(job.ledger?.perEpoch.every(({ min, max }) => min === 1 && max === 1)).toBe(true);
  expect((await network.chain.job(jobId)).state).toBe('VERIFIED');
  for (const worker of network.parties.workers) {
    expect(await network.chain.credit(worker.address)).toBeGreaterThan(0n);
    await network.command(worker, 'withdraw');
    expect(await network.chain.credit(worker.address)).toBe(0n);
    expect(await network.chain.tokenBalance(worker.address)).toBeGreaterThan(0n);
  }
  expect(await network.totalTokens()).toBe(before);
});

test('master killed: the job resumes from its last folded round', async () => {
  await using network = await startNetwork({ workers: 2 });
  const jobId = await network.request(await network.writeText('text.txt', TEXT), { ...tinyParams, epochs: 1.5 });
  await network.until(jobId, 'Round 3 does not start', (job) => (job.progress?.round ?? 0) >= 3);
  process.kill(network.master.pid, 'SIGKILL');
  await network.master.exited;
  await network.restartMaster();

  const resumed = await network.until(
    jobId,
    'The job is not resumed',
    (job) => job.state === 'training' && job.progress !== undefined,
  );
  expect(resumed.progress?.mergedBlocks).toBeGreaterThan(0);
  const job = await network.until(jobId, 'The job does not end', (details) => details.state === 'verified');
  expect(job.ledger).toMatchObject({ minMerged: 1, maxMerged: 1 });
  // Each state was entered once: the job was resumed, not started again.
  expect(job.history.map(({ state }) => state)).toEqual([
    'queued',
    'claimed',
    'preparing',
    'training',
    'exporting',
    'submitting',
    'submitted',
    'verified',
  ]);
});
