/** Jobs that start from a base, end to end: put, requested, fetched by workers, verified, repeated. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { requireSubmission } from '../../src/app/chain-job';
import type { Party } from '../../src/demo/parties';
import type { JobId } from '../../src/domain/ids';
import { Manifest } from '../../src/protocol/manifest';
import { CrashRun, killDaemon } from '../support/crash-run';
import { reconfigure } from '../support/further-roles';
import { makeText, type Network, startNetwork } from '../support/network';
import { waitUntilGone } from '../support/processes';
import { openScratch } from '../support/scratch';
import { makeBases } from '../support/small-bases';

const common = { model: { context: 32 }, batch: 4, epochs: 1, round: { steps: 20 }, inner: { lr: 5e-3 } };
const local = { pollMs: 200 };

let scratch: Awaited<ReturnType<typeof openScratch>>;
let network: Network;
let crashes: CrashRun;

beforeAll(async () => {
  scratch = await openScratch();
  crashes = new CrashRun(scratch.file('points'));
  [network] = await Promise.all([
    startNetwork({ workers: 2, env: crashes.env, master: local, verifier: local }),
    makeBases(scratch.path, 'llama', 'gpt2'),
  ]);
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

/** Puts a base into the storage, and requests a job on it. Returns the job and the list of the base. */
async function request(base: string, data: string, params: object): Promise<{ jobId: JobId; list: string }> {
  const { requester } = network.parties;
  const put = z.object({ reference: z.string() }).parse(await network.command(requester, 'put', scratch.file(base)));
  const jobId = await network.request(data, { ...common, ...params, base: put.reference });
  return { jobId, list: put.reference.slice('sha256:'.length).split('@')[0]! };
}

/** Waits until the job is verified, and returns what it was verified by. */
async function verified(jobId: JobId): Promise<Manifest> {
  await network.until(jobId, 'The job does not end', ({ state }) => state === 'verified');
  const { resultHash } = await requireSubmission(network.chain, jobId);
  const response = await fetch(`${network.parties.masterUrl}/api/v1/blobs/${resultHash.slice(2)}?job=${jobId}`);
  return Manifest.parse(await response.json());
}

const Replayed = z.object({ theta: z.string(), leases: z.array(z.object({ name: z.string(), distance: z.number() })) });

/** Repeats the whole job as its requester: every lease must come out with the same bits. */
async function requireEqual(jobId: JobId, { rounds }: Manifest): Promise<void> {
  const answer = await network.command(network.parties.requester, 'replay', jobId, '--full', '--threads', '1');
  const { theta, leases } = Replayed.parse(answer);
  expect(theta).toBe(rounds.at(-1)?.nextTheta);
  expect(leases).toHaveLength(rounds.flatMap((round) => round.leases).length);
  expect(leases.filter(({ distance }) => distance !== 0)).toEqual([]);
}

const basesOf = ({ dataDir }: Party) => (existsSync(join(dataDir, 'bases')) ? readdirSync(join(dataDir, 'bases')) : []);

test('adapter on a Llama for a chat, by two workers: equal when repeated', async () => {
  const { workers, verifier, node } = network.parties;
  const data = await network.writeText('chat.jsonl', makeChat(400));
  const { jobId, list } = await request('llama', data, { tune: 'lora', lora: { r: 4 } });
  const manifest = await verified(jobId);
  expect(manifest.base).toMatchObject({ list, reference: expect.stringContaining(list) });
  const paid = manifest.payouts.filter(({ tokens }) => tokens > 0).map(({ worker }) => worker);
  expect(paid.sort()).toEqual(workers.map(({ address }) => address).sort());
  for (const party of [node, ...workers, verifier]) expect(basesOf(party)).toEqual([list]);
  await requireEqual(jobId, manifest);
});

test('worker and master killed while the base arrives, another declines: done', async () => {
  const [able, full] = network.parties.workers as [Party, Party];
  await network.processOf(full)[Symbol.asyncDispose]();
  await reconfigure(full, { baseCacheBytes: 1 });
  network.restart(full);
  const data = await network.writeText('text.txt', makeText(20_000));
  const halted = crashes.halt('base.fetched', 2);
  const { jobId, list } = await request('gpt2', data, { tune: 'full' });
  await halted;
  const again = crashes.halt('base.fetched');
  await kill(able);
  const goOn = await again;
  await killDaemon(network, 'master');
  goOn();
  const manifest = await verified(jobId);
  expect(manifest.payouts.filter(({ tokens }) => tokens > 0).map(({ worker }) => worker)).toEqual([able.address]);
  expect(basesOf(able)).toContain(list);
  expect(basesOf(full)).not.toContain(list);
  const log = readFileSync(join(network.dir, 'node.log'), 'utf8');
  expect(log).toMatch(/Worker cannot do this job.*baseCacheBytes/);
  await requireEqual(jobId, manifest);
});

/** Kills a party's process and starts it again. */
async function kill(party: Party): Promise<void> {
  const { pid } = network.processOf(party);
  process.kill(pid, 'SIGKILL');
  await waitUntilGone(pid);
  network.restart(party);
}

/** Returns so many short conversations, one a line. */
function makeChat(count: number): string {
  const line = (i: number) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `What is ${i % 9} and ${i % 7}?` },
        { role: 'assistant', content: `That is ${(i % 9) + (i % 7)}.` },
      ],
    });
  return Array.from({ length: count }, (_, i) => `${line(i)}\n`).join('');
}
