/** The gate before a real Python coordinator: real updates, and ones that are really bad. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from '../../../src/blobs/blob-store';
import { Sha256 } from '../../../src/domain/ids';
import { sumOfRates } from '../../../src/domain/schedule';
import { openStanding } from '../../../src/domain/standing';
import { silentLogger } from '../../../src/lib/logger';
import { openGateMemory } from '../../../src/master/gate-memory';
import type { JobContext } from '../../../src/master/job-context';
import { type LiveLease, RoundState } from '../../../src/master/round-state';
import { judgeUpdate } from '../../../src/master/update-gate';
import { listDoubtful, lookLater } from '../../../src/master/update-use';
import type { ResolvedParams } from '../../../src/protocol/job-params';
import { openTrainer, type Trainer } from '../../../src/runner/trainer';
import { openTestCoordinator, type TestCoordinator } from '../../support/coordinator';
import { noTraffic } from '../../support/master-rig-worker';
import { fastDir, openScratch } from '../../support/scratch';
import { openTestJob, type TestJob } from '../../support/test-job';
import { testPython, tinyParams } from '../../support/tiny-job';

const params: ResolvedParams = { ...tinyParams, codec: 'fp32', inner: { ...tinyParams.inner, warmup: 0 } };

let scratch: Awaited<ReturnType<typeof openScratch>>;
let coordinator: TestCoordinator;
let trainer: Trainer;
let rig: TestJob;
let job: JobContext;
let round: RoundState;
/** What the worker can be asked for, by name. */
let served: Map<string, string>;

beforeAll(async () => {
  scratch = await openScratch(fastDir());
  coordinator = await openTestCoordinator(scratch.path, params);
  const { vocabSize, epochBlocks: totalBlocks } = coordinator.prepared;
  const spec = { kind: 'train', device: 'cpu', threads: 1, jobId: 'test', params, vocabSize, totalBlocks } as const;
  trainer = openTrainer(
    { ...spec, workDir: scratch.path, microBatch: 4 },
    { python: testPython, logger: silentLogger },
  );
});
afterAll(async () => {
  await trainer?.[Symbol.asyncDispose]();
  await coordinator?.[Symbol.asyncDispose]();
  await scratch?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  rig = await openTestJob({ workers: [50, 50] });
  await rig.gather();
  served = new Map();
  const { blobs, store } = rig;
  const theta = Sha256.parse(coordinator.theta.sha256);
  await blobs.add(coordinator.theta.path, { move: false });
  round = new RoundState(0, theta, 1e15);
  const { prepared } = coordinator;
  job = {
    ...rig.job,
    plan: { ...rig.job.plan, params, prepared, totalBlocks: prepared.epochBlocks, parameters: parameterCount() },
    coordinator: { run: (command, answer) => coordinator.child.run(command, answer) },
    gate: await openGateMemory(store.ledger, rig.job.jobId),
  };
  const pull = async ({ sha256 }: { sha256: string }) => void (await blobs.add(served.get(sha256)!, { move: false }));
  for (const { address } of rig.workers) Object.assign(rig.fleet.peer(address)!, { pull, traffic: noTraffic });
});
afterEach(() => rig[Symbol.asyncDispose]());

const parameterCount = () => (coordinator.theta.bytes - 1000) / 4;

/** Leases the next blocks to one of the two workers, which trains them. */
async function trainLease(blocks: number, by: 0 | 1 = 0) {
  const { store, blobs, workers } = rig;
  const leaseId = `lease-${randomBytes(4).toString('hex')}`;
  const { address: worker } = workers[by]!;
  const grant = { leaseId, jobId: rig.job.jobId, round: 0, worker, blocks, expiresAtMs: 1e15 };
  const range = (await store.ledger.grant(grant))!;
  const shard = await coordinator.cut(range.start, range.end);
  await blobs.add(shard.path, { move: false });
  const lease: LiveLease = {
    leaseId,
    worker,
    ...range,
    grantedAtMs: 0,
    state: 'running',
    shard: Sha256.parse(shard.sha256),
  };
  round.add(lease);
  const theta = { path: coordinator.theta.path, sha256: Sha256.parse(coordinator.theta.sha256) };
  const out = join(scratch.path, `update-${leaseId}`);
  const run = { type: 'round.run', round: 0, start: range.start, shard: shard.path, theta, out } as const;
  const done = await trainer.run(run, 'round.done');
  return { lease, done };
}

/** Judges an update; `change` makes the numbers of the file into others. */
async function judge(
  { lease, done }: Awaited<ReturnType<typeof trainLease>>,
  change?: (numbers: Float32Array, theta: Float32Array) => Float32Array,
) {
  const { path } = done.update;
  const changed = change ? await rewrite(path, change) : path;
  const { sha256, bytes } = await new BlobStore(join(scratch.path, 'sums')).add(changed, { move: false });
  served.set(sha256, changed);
  const { tokens, loss, lossCurve, seconds } = done;
  const endTheta = change ? await endOf(changed) : done.endTheta;
  const commit = { update: { sha256, bytes }, tokens, loss, lossCurve, seconds, endTheta };
  return judgeUpdate(job, round, lease, { type: 'lease.commit', leaseId: lease.leaseId, ...commit });
}

/** A liar signs for whatever its update leads to. */
async function endOf(update: string): Promise<Sha256> {
  const { path: theta } = coordinator.theta;
  return (await coordinator.child.run({ type: 'inspect', update, theta }, 'inspected')).endTheta!;
}

async function rewrite(path: string, change: (numbers: Float32Array, theta: Float32Array) => Float32Array) {
  const [update, theta] = await Promise.all([path, coordinator.theta.path].map((each) => readFile(each)));
  const [header, numbers] = split(update!);
  const out = `${path}-changed`;
  const changed = change(numbers, split(theta!)[1]);
  await writeFile(out, Buffer.concat([header, Buffer.from(changed.buffer, changed.byteOffset, changed.byteLength)]));
  return out;
}

/** A safetensors file: the length of its header, the header, then the numbers. */
function split(file: Buffer): [Buffer, Float32Array] {
  const at = 8 + Number(file.readBigUInt64LE(0));
  const data = new Uint8Array(file.subarray(at));
  return [file.subarray(0, at), new Float32Array(data.buffer)];
}

/** A worker that trained before, as the store knows it. */
const KNOWN = { accepted: 3, isAudited: true, gflops: 50 };

const length = (numbers: Float32Array) => Math.sqrt(numbers.reduce((sum, value) => sum + value * value, 0));
/** Random numbers of the same length, always the same ones. */
function noiseLike(numbers: Float32Array): Float32Array {
  let state = 1;
  const noise = numbers.map(() => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647 - 0.5;
  });
  const factor = length(numbers) / length(noise);
  return noise.map((value) => value * factor);
}

test.each([1, 2, 4, 8])('honest lease of %d blocks: accepted, far from the least norm', async (blocks) => {
  const trained = await trainLease(blocks);
  expect(await judge(trained)).toMatchObject({ accepted: true });
  const [facts] = job.gate.accepted;
  const { layers, width } = params.model;
  const oneStep = (facts!.rates / facts!.blocks) * Math.sqrt(9 * layers * width);
  const { inner } = params;
  expect(facts!.rates).toBe(sumOfRates({ ...inner, lr: inner.muonLr }, trained.lease, job.plan.totalBlocks));
  expect(facts!.norm).toBeGreaterThan(0.5 * oneStep);
  expect(job.gate.acceptedGains[0]).toBeGreaterThan(0);
  expect(trained.lease.mustAudit).toBeUndefined();
});

test.each<[string, (numbers: Float32Array) => Float32Array, RegExp]>([
  ['zeros', (numbers) => numbers.map(() => 0), /long, and no work is shorter/],
  ['a thousandth of the work', (numbers) => numbers.map((value) => value / 1000), /no work is shorter/],
  ['noise of the same length', noiseLike, /do not lower the loss/],
])('%s after an honest update: refused', async (_kind, change, reason) => {
  await judge(await trainLease(8, 1));
  const verdict = await judge(await trainLease(8), change);
  expect(verdict).toMatchObject({ accepted: false, isFault: true, reason: expect.stringMatching(reason) });
});

test('update of no use by a worker that passed an audit: accepted, and audited', async () => {
  await judge(await trainLease(8, 1));
  const { address } = rig.workers[0]!;
  job.standings.set(address, openStanding(KNOWN, { flops: 1e6, probe: 8 }));
  const trained = await trainLease(8);
  const verdict = await judge(trained, noiseLike);
  if (!verdict.accepted) throw new Error(verdict.reason);
  round.markReady(trained.lease, verdict.work, 0);
  await lookLater(job, round);
  expect(listDoubtful(round)).toEqual([trained.lease.leaseId]);
});

test('noise before an honest update: refused, or marked when that comes', async () => {
  const first = await trainLease(8);
  const { accepted } = await judge(first, noiseLike);
  await judge(await trainLease(8, 1));
  expect([accepted, first.lease.mustAudit ?? false]).toEqual([accepted, accepted]);
});

test('update for another lease sent again: refused', async () => {
  const first = await trainLease(4);
  await judge(first);
  const { lease } = await trainLease(4);
  expect(await judge({ lease, done: first.done })).toMatchObject({
    accepted: false,
    reason: expect.stringMatching(/before/),
  });
});

test('update from other weights: refused', async () => {
  const { lease, done } = await trainLease(4);
  const other = { ...done, endTheta: Sha256.parse('ab'.repeat(32)) };
  expect(await judge({ lease, done: other })).toMatchObject({ reason: expect.stringMatching(/does not lead/) });
});

test('copied with a little noise: both leases are marked for an audit', async () => {
  const first = await trainLease(4);
  await judge(first);
  const { lease } = await trainLease(4);
  const nearly = (numbers: Float32Array) => {
    const noise = noiseLike(numbers);
    return numbers.map((value, i) => value + 0.01 * (noise[i] ?? 0));
  };
  expect(await judge({ lease, done: first.done }, nearly)).toMatchObject({ accepted: true });
  expect([first.lease.mustAudit, lease.mustAudit]).toEqual([true, true]);
});

test('three times the work after honest updates: marked for an audit', async () => {
  for (let i = 0; i < 3; i++) await judge(await trainLease(4));
  const trained = await trainLease(4);
  expect(await judge(trained, (numbers) => numbers.map((value) => 3 * value))).toMatchObject({ accepted: true });
  expect(trained.lease.mustAudit).toBe(true);
  expect(rig.log).toContain('Update is doubtful');
});
