/** Claims of processes that share a database: renewed, lost, taken over by one, given back to the queue. */
import { Address, JobId, Sha256 } from '../../../src/domain/ids';
import { systemClock } from '../../../src/lib/clock';
import type { Claimant } from '../../../src/store/claimant';
import type { Store } from '../../../src/store/open';
import { describeEachDatabase, runSql } from '../../support/each-database';
import { requestJob } from '../../support/request-job';

jest.setTimeout(120_000);

const job = JobId.parse(`0x${'7'.repeat(32)}`);
const node = Address.parse(`0x${'a'.repeat(40)}`);
const other = Address.parse(`0x${'b'.repeat(40)}`);
const sha = Sha256.parse('1'.repeat(64));
const request = {
  ...{ id: job, requester: other, dataset: 'x', params: '{}', feeWei: 1n, fuelLimit: 1n },
  ...{ deadlineMs: 1, requestedBlock: 1 },
};
const lost = { code: 'store/claim-lost', detail: { jobId: job } };

describeEachDatabase('claims', (database) => {
  const open = (claimant: Claimant) => database.open(systemClock, claimant);
  /** Lets the claims of all processes look as old as this. */
  const age = (ms: number) => runSql(database.options, `update jobs set beat_at_ms = beat_at_ms - ${ms}`);

  /** A job that the first process trains, and two more processes. */
  async function openTraining(...names: Claimant[]): Promise<[Store, Store, Store]> {
    const [first, second, third] = await Promise.all(names.map((name) => open(name)));
    if (!first || !second || !third) throw new Error('three names are needed');
    await requestJob(first, request);
    expect(await first.jobs.claim(job, node)).toBe(true);
    await first.jobs.move(job, 'claimed', 'preparing');
    await first.jobs.move(job, 'preparing', 'training');
    await first.ledger.initialise(job, 10);
    return [first, second, third];
  }

  const grant = (store: Store, leaseId: string) =>
    store.ledger.grant({ leaseId, jobId: job, round: 0, worker: other, blocks: 2, expiresAtMs: 1 });

  test('owner renews in time: nobody else takes its job', async () => {
    const [first, second] = await openTraining('one.1', 'two.1', 'three.1');
    await age(15_000);
    expect([...(await first.claims.hold(node)).held]).toEqual([job]);
    await age(15_000);
    expect(await second.claims.hold(node)).toEqual({ held: new Set(), taken: [], freed: [] });
    expect(await grant(first, 'lease')).toBeDefined();
  });

  test('owner silent for longer: one of two others with its key takes the job', async () => {
    const [, second, third] = await openTraining('one.1', 'two.1', 'three.1');
    await age(21_000);
    const holdings = await Promise.all([second, third].map((store) => store.claims.hold(node)));
    expect(holdings.map(({ taken }) => taken.length).sort()).toEqual([0, 1]);
    expect(holdings.flatMap(({ held }) => [...held])).toEqual([job]);
    expect((await second.jobs.find(job))?.state).toBe('training');
  });

  test('owner returns after its job was taken over: it can write nothing of it', async () => {
    const [first, second] = await openTraining('one.1', 'two.1', 'three.1');
    await grant(first, 'lease-1');
    await first.rounds.open(job, 0, sha);
    await age(21_000);
    expect((await second.claims.hold(node)).taken).toEqual([job]);

    const work = { update: { sha256: sha, bytes: 1 }, tokens: 1, loss: 1, lossCurve: [], seconds: 1, endTheta: sha };
    const fold = { jobId: job, round: 0, nextTheta: sha, delta: sha, outer: sha, scale: 1, leases: [] };
    await expect(first.jobs.move(job, 'training', 'declining')).rejects.toMatchObject(lost);
    await expect(grant(first, 'lease-2')).rejects.toMatchObject(lost);
    await expect(first.ledger.release('lease-1', 'test')).rejects.toMatchObject(lost);
    await expect(first.ledger.commit('lease-1', other, work)).rejects.toMatchObject(lost);
    await expect(first.rounds.fold(fold)).rejects.toMatchObject(lost);
    expect(await first.claims.hold(node)).toEqual({ held: new Set(), taken: [], freed: [] });

    expect(await second.ledger.commit('lease-1', other, work)).toBe('committed');
    expect(await second.jobs.move(job, 'training', 'declining')).toBe(true);
  });

  test('owner paused and nobody took over: it goes on', async () => {
    const [first] = await openTraining('one.1', 'two.1', 'three.1');
    await age(60_000);
    expect([...(await first.claims.hold(node)).held]).toEqual([job]);
    expect(await first.jobs.move(job, 'training', 'declining')).toBe(true);
  });

  test('next process in the same data directory: takes over at once', async () => {
    const [first, second] = await openTraining('one.1', 'one.2', 'three.1');
    expect((await second.claims.hold(node)).taken).toEqual([job]);
    await expect(grant(first, 'lease')).rejects.toMatchObject(lost);
  });

  test('another key: an abandoned job is not its own, and is free before it was taken', async () => {
    const [first, second] = [await open('one.1'), await open('two.1')];
    await requestJob(first, request);
    await first.jobs.claim(job, node);
    expect((await second.claims.hold(other)).freed).toEqual([]);
    await age(21_000);
    const others = [second, await open('three.1')];
    const holdings = await Promise.all(others.map((store) => store.claims.hold(other)));
    expect(holdings.flatMap(({ freed }) => freed)).toEqual([job]);
    expect(holdings.flatMap(({ taken }) => taken)).toEqual([]);
    await expect(first.jobs.move(job, 'claimed', 'preparing')).rejects.toMatchObject(lost);
    expect(await second.jobs.claim(job, other)).toBe(true);
    const history = await second.jobs.history(job);
    expect(history.map(({ state }) => state)).toEqual(['queued', 'claimed', 'queued', 'claimed']);
  });

  test('owner gone with a transaction for the job: it is left to its key', async () => {
    const [first, second] = [await open('one.1'), await open('two.1')];
    await requestJob(first, request);
    await first.jobs.claim(job, node);
    await first.jobs.move(job, 'claimed', 'preparing');
    await first.intents.begin({ account: node, key: `${job}:process`, to: other, data: '0x', valueWei: 0n });
    await age(21_000);
    expect((await second.claims.hold(other)).freed).toEqual([]);
    expect((await second.claims.hold(node)).taken).toEqual([job]);
  });

  test('job ends or is given back: nobody has a claim on it', async () => {
    const [first] = await openTraining('one.1', 'two.1', 'three.1');
    await first.jobs.move(job, 'training', 'declining');
    await first.jobs.move(job, 'declining', 'declined');
    expect(await runSql(database.options, 'select claimed_by, beat_at_ms from jobs')).toEqual([
      { claimed_by: null, beat_at_ms: null },
    ]);
    expect((await first.claims.hold(node)).held.size).toBe(0);
  });
});
