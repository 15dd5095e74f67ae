/** Database and chain away in every state of a job, a worker sent away: the job goes on by itself. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChaosProxy, openChaosProxy } from '../support/chaos-proxy';
import { CrashRun } from '../support/crash-run';
import { startMariadb, type TestServer } from '../support/mariadb';
import { makeText, type Network, startNetwork, tinyParams } from '../support/network';
import { outageInEachState, supplyBehind } from '../support/outages';
import { openScratch } from '../support/scratch';

const OUTAGE_MS = 3000;
const LIFE = 'queued claimed preparing training exporting submitting submitted verified';

let scratch: Awaited<ReturnType<typeof openScratch>>;
let server: TestServer;
let queue: ChaosProxy;
let chain: ChaosProxy;
let crashes: CrashRun;
let network: Network;
let text: string;

// The queue is in MySQL.
beforeAll(async () => {
  scratch = await openScratch();
  server = await startMariadb();
  const { kind: _, ...database } = await server.createDatabase();
  queue = await openChaosProxy(database.port);
  chain = await openChaosProxy(1);
  crashes = new CrashRun(scratch.file('points'));
  const master = { pollMs: 200, external_db: { ...database, port: queue.port } };
  network = await startNetwork({ workers: 2, env: crashes.env, chainProxy: chain, master });
  text = await network.writeText('text.txt', makeText(40_000));
});
afterAll(async () => {
  for (const opened of [network, queue, chain, server, scratch]) await opened[Symbol.asyncDispose]();
});

test.each(['queue', 'chain'])('%s away in each state: the job goes on, nothing is given up', async (what) => {
  const supply = supplyBehind(what === 'queue' ? queue : chain);
  const request = () => network.request(text, tinyParams);
  const { job } = await outageInEachState(network, crashes, { supply, outageMs: OUTAGE_MS, request });
  expect(job.history.map(({ state }) => state).join(' ')).toBe(LIFE);
  expect(job.ledger).toMatchObject({ minMerged: 1, maxMerged: 1 });
});

test('operator disconnects a worker: the other gets its lease, it stays out', async () => {
  const jobId = await network.request(text, { ...tinyParams, epochs: 4 });
  await network.until(jobId, 'Round 1 does not start', (job) => (job.progress?.round ?? 0) >= 1);
  const [outcast] = network.parties.workers;
  const param = JSON.stringify({ workerAddress: outcast?.address });
  expect(await network.command(network.parties.node, 'rpc', 'disconnect', param)).toBe('disconnected');
  const listed = async () => (await network.admin.workers()).map((worker) => worker.address);
  expect(await listed()).not.toContain(outcast?.address);

  const job = await network.until(jobId, 'The job does not end', (details) => details.state === 'verified');
  expect(job.ledger).toMatchObject({ minMerged: 1, maxMerged: 1 });
  expect(job.ledger?.perEpoch.every(({ min, max }) => min === 1 && max === 1)).toBe(true);
  expect(await listed()).not.toContain(outcast?.address);
  expect(await network.command(network.parties.node, 'rpc', 'disconnect', param)).toBe('not exist');
  expect(await network.command(network.parties.node, 'rpc', 'allow', param)).toBe('allowed');
  const log = await readFile(join(network.dir, 'worker-1.log'), 'utf8');
  expect(log).toContain('disconnected by the operator');
});
