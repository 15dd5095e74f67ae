/** A whole job with the queue in MySQL. */
import { startMariadb } from '../support/mariadb';
import { makeText, startNetwork, tinyParams } from '../support/network';

test('queue in MySQL, master killed: the job is finished and paid', async () => {
  await using server = await startMariadb();
  const { kind: _, ...external_db } = await server.createDatabase();
  await using network = await startNetwork({ workers: 2, master: { external_db } });
  const jobId = await network.request(await network.writeText('text.txt', makeText(120_000)), tinyParams);
  await network.until(jobId, 'No round is done by both', ({ rounds }) => rounds.some(({ updates }) => updates === 2));
  process.kill(network.master.pid, 'SIGKILL');
  await network.master.exited;
  await network.restartMaster();

  const job = await network.until(jobId, 'The job does not end', (details) => details.state === 'verified');
  expect(job.ledger).toMatchObject({ minMerged: 1, maxMerged: 1 });
  expect((await network.chain.job(jobId)).state).toBe('VERIFIED');
  for (const worker of network.parties.workers) expect(await network.chain.credit(worker.address)).toBeGreaterThan(0n);
});
