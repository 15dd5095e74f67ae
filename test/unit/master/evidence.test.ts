/** Which evidence stays, for how long, and what goes first when there is too much of it. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from '../../../src/blobs/blob-store';
import type { Address, JobId, Sha256 } from '../../../src/domain/ids';
import type { ChainState, JobState } from '../../../src/domain/job';
import { silentLogger } from '../../../src/lib/logger';
import { EvidenceBook } from '../../../src/master/evidence';
import { openStore } from '../../../src/store/open';
import { requestJob } from '../../support/request-job';
import { fastDir, openScratch } from '../../support/scratch';
import { SteppedClock } from '../../support/stepped-clock';
import { node } from '../../support/test-job';
import { jobId } from '../../support/worker-messages';

const THETA_BYTES = 1000;
const UPDATE_BYTES = 100;
/** Of a job of ten rounds: their updates, and θ_0 to θ_10. */
const WHOLE = 10 * UPDATE_BYTES + 11 * THETA_BYTES;
const WAY: readonly JobState[] = ['preparing', 'training', 'exporting', 'submitting', 'submitted', 'verified'];
const worker = `0x${'aa'.repeat(20)}` as Address;

interface Played {
  id: JobId;
  thetas: Sha256[];
  updates: Sha256[];
  shards: Sha256[];
  outers: Sha256[];
  model: Sha256;
}

async function openRig(evidenceBytes: number) {
  const scratch = await openScratch(fastDir());
  const store = await openStore({ kind: 'sqlite', path: ':memory:' }, new SteppedClock());
  const blobs = new BlobStore(scratch.file('blobs'));
  const open = () => new EvidenceBook({ dataDir: scratch.path, evidenceBytes }, { store, blobs, logger: silentLogger });
  const book = open();
  const put = async (bytes: number, text: string) => (await blobs.addBytes(Buffer.from(text.padEnd(bytes)))).sha256;
  const dirOf = (id: JobId) => join(scratch.path, 'jobs', id);

  /** Trains a job of this many rounds, some to be audited; jobs of one `text` have the same files. */
  async function train(digit: string, rounds = 10, text = digit, audited: number[] = []): Promise<Played> {
    const id = jobId(digit);
    const terms = { dataset: 'sha256:data', params: '{}', feeWei: 1n, fuelLimit: 1n, deadlineMs: 1, requestedBlock: 1 };
    await requestJob(store, { ...terms, id, requester: worker });
    await store.jobs.claim(id, node);
    await store.jobs.move(id, 'claimed', 'preparing');
    await store.jobs.move(id, 'preparing', 'training');
    await mkdir(dirOf(id), { recursive: true });
    await writeFile(join(dirOf(id), 'child.log'), 'tokens');
    await store.ledger.initialise(id, rounds);
    const thetas = [await put(THETA_BYTES, `${text} theta 0`)];
    const played: Played = { id, thetas, updates: [], shards: [], outers: [], model: await put(10, `${text} model`) };
    for (let round = 0; round < rounds; round += 1) await trainRound(played, round, text, audited.includes(round));
    return played;
  }

  async function trainRound(job: Played, round: number, text: string, mustAudit: boolean): Promise<void> {
    const { id } = job;
    const leaseId = `${id} ${round}`;
    const make = (what: string, bytes: number) => put(bytes, `${text} ${what} ${round}`);
    const [update, shard, nextTheta] = await Promise.all([
      make('update', UPDATE_BYTES),
      make('shard', 50),
      put(THETA_BYTES, `${text} theta ${round + 1}`),
    ]);
    await store.rounds.open(id, round, job.thetas[round]!);
    await store.ledger.grant({ leaseId, jobId: id, round, worker, blocks: 1, expiresAtMs: 1 });
    await store.ledger.setShard(leaseId, shard);
    const work = { tokens: 1, loss: 1, lossCurve: [1], seconds: 1, endTheta: update };
    await store.ledger.commit(leaseId, worker, { ...work, update: { sha256: update, bytes: UPDATE_BYTES } });
    const [delta, outer] = await Promise.all([make('delta', 50), make('outer', 50)]);
    const leases = [{ leaseId, weight: 1, mustAudit }];
    await store.rounds.fold({ jobId: id, round, nextTheta, delta, outer, scale: 1, leases });
    job.thetas.push(nextTheta);
    job.updates.push(update);
    job.shards.push(shard);
    job.outers.push(outer);
    await book.afterFold(id, [nextTheta, update]);
    await book.dropOuters(id, round);
  }

  /** Brings a trained job to its end, with this final state on chain, and settles it. */
  async function end({ id, model, updates }: Played, state: JobState = 'verified', chain: ChainState = 'VERIFIED') {
    const result = { manifest: model, fuelUsed: 1n, payoutRoot: '0x', shares: [], blobs: [model, ...updates] };
    const way = [...WAY.slice(2, 5), state];
    for (const [i, to] of way.entries())
      await store.jobs.move(id, WAY[i + 1]!, to, to === 'submitting' ? { result } : {});
    await store.jobs.applyChain([{ jobId: id, state: chain }]);
    await book.settle((await store.jobs.find(id))!);
  }

  return {
    ...{ store, blobs, book, open, train, end, dirOf },
    has: async (names: Sha256[]) => (await Promise.all(names.map((name) => blobs.stat(name)))).map((stat) => !!stat),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

const all = (names: readonly unknown[]) => names.map(() => true);
const none = (names: readonly unknown[]) => names.map(() => false);

test('verified job: updates and all weights stay, the rest goes', async () => {
  await using rig = await openRig(WHOLE);
  const job = await rig.train('1');
  await rig.end(job);
  expect(await rig.has([...job.updates, ...job.thetas, job.model])).toEqual(all([...job.updates, ...job.thetas, 1]));
  expect(await rig.has(job.shards)).toEqual(none(job.shards));
  expect([existsSync(rig.dirOf(job.id)), existsSync(join(rig.dirOf(job.id), 'child.log'))]).toEqual([true, false]);
  expect(await rig.book.thetaEvery(job.id)).toBeUndefined();
});

test('job without a submitted result: nothing stays', async () => {
  await using rig = await openRig(WHOLE);
  const job = await rig.train('1');
  await rig.store.jobs.move(job.id, 'training', 'declining');
  await rig.store.jobs.move(job.id, 'declining', 'declined');
  await rig.book.settle((await rig.store.jobs.find(job.id))!);
  expect(await rig.has([...job.updates, ...job.thetas, ...job.shards])).toEqual(none(Array(31).fill(0)));
  expect(existsSync(rig.dirOf(job.id))).toBe(false);
});

test('too much of several jobs: the oldest goes first, its model stays', async () => {
  await using rig = await openRig(2 * WHOLE);
  const jobs = [await rig.train('1'), await rig.train('2')] as const;
  for (const job of jobs) await rig.end(job);
  const third = await rig.train('3', 3);
  expect(await rig.has([...jobs[0].updates, ...jobs[0].thetas])).toEqual(none(Array(21).fill(0)));
  expect(await rig.has([jobs[0].model, ...jobs[1].thetas, ...third.thetas])).toEqual(all(Array(16).fill(0)));
  expect(existsSync(rig.dirOf(jobs[0].id))).toBe(false);
});

test('verdict not final yet: its evidence stays, whatever the limit', async () => {
  await using rig = await openRig(10 * UPDATE_BYTES);
  const job = await rig.train('1', 3);
  await rig.end(job, 'verified', 'SUBMITTED');
  const other = await rig.train('2', 3);
  await rig.end(other, 'failed', 'FAILED');
  expect(await rig.has([...job.updates, ...job.thetas])).toEqual(all(Array(7).fill(0)));
  expect(await rig.has(other.updates)).toEqual(none(other.updates));
});

test('one job over the limit: θ of every eighth round and of the newest eight stays', async () => {
  await using rig = await openRig(5 * THETA_BYTES);
  const job = await rig.train('1', 20);
  const kept = job.thetas.map((_, round) => round % 8 === 0 || round > 12);
  expect(await rig.has(job.thetas)).toEqual(kept);
  expect(await rig.has(job.updates)).toEqual(all(job.updates));
  expect(await rig.book.thetaEvery(job.id)).toBe(8);
  await rig.end(job, 'verified', 'SUBMITTED');
  expect(await rig.has(job.thetas)).toEqual(job.thetas.map((_, round) => round % 8 === 0));
  expect(await rig.has(job.updates)).toEqual(all(job.updates));
});

test('lease of an old round still to be audited: its weights stay until then', async () => {
  await using rig = await openRig(5 * THETA_BYTES);
  const job = await rig.train('1', 20, '1', [3, 5]);
  const waiting = [job.thetas[3]!, job.thetas[5]!];
  expect(await rig.has(waiting)).toEqual([true, true]);
  const audit = { auditor: node, update: job.updates[3]!, tokens: 1, distance: 0, outcome: 'equal' } as const;
  await rig.store.audits.record(job.id, { ...audit, leaseId: `${job.id} 3`, round: 3, start: 3 });
  await rig.book.afterFold(job.id, []);
  expect(await rig.has(waiting)).toEqual([false, true]);
});

test('training: outer states go but those of the newest three rounds', async () => {
  await using rig = await openRig(WHOLE);
  const job = await rig.train('1');
  expect(await rig.has(job.outers)).toEqual(job.outers.map((_, round) => round > 6));
});

test('outer state that another job under way has too: stays', async () => {
  await using rig = await openRig(WHOLE);
  const first = await rig.train('1', 3, 'same');
  await rig.train('2', 10, 'same');
  expect(await rig.has(first.outers)).toEqual([true, true, true]);
});

test('two equal jobs: files that both have stay with the second', async () => {
  await using rig = await openRig(WHOLE);
  const first = await rig.train('1', 10, 'same');
  await rig.end(first);
  const second = await rig.train('2', 10, 'same');
  expect(existsSync(rig.dirOf(first.id))).toBe(false);
  expect(await rig.has([...second.updates, ...second.thetas])).toEqual(all(Array(21).fill(0)));
});

test('restart: knows what is kept, and tidies up after a job that was over', async () => {
  await using rig = await openRig(WHOLE);
  const job = await rig.train('1');
  await rig.end(job);
  await writeFile(join(rig.dirOf(job.id), 'left'), 'by a killed process');
  const restarted = rig.open();
  await restarted.open();
  expect(existsSync(join(rig.dirOf(job.id), 'left'))).toBe(false);
  expect(await rig.has(job.updates)).toEqual(all(job.updates));
  const next = await rig.train('2', 1);
  await restarted.afterFold(next.id, []);
  expect(await rig.has(job.updates)).toEqual(none(job.updates));
});
