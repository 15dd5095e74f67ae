/** The queue follows the chain: any cut of the events into ranges gives the same queue. */
import fc from 'fast-check';
import { applyEvents } from '../../../src/app/chain-follower';
import type { CoreEvent } from '../../../src/chain/contract/events';
import { Address, JobId } from '../../../src/domain/ids';
import { systemClock } from '../../../src/lib/clock';
import type { Store, StoreOptions } from '../../../src/store/open';
import { describeEachDatabase, runSql } from '../../support/each-database';

jest.setTimeout(120_000);

const jobId = (n: number) => JobId.parse(`0x${n.toString(16).padStart(32, '0')}`);
const address = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const place = { blockNumber: 7, blockHash: '0xb1', txHash: '0xc1', logIndex: 0 };
const request = (n: number): CoreEvent => ({
  ...place,
  type: 'JobRequested',
  jobId: jobId(n),
  requester: address(1),
  feeWei: BigInt(n),
  fuelLimit: 2n ** 90n,
  deadlineMs: 5,
  dataset: `data ${n}`,
  params: '{}',
});
const taken = (n: number, node = address(5)): CoreEvent => ({ ...place, type: 'JobProcessing', jobId: jobId(n), node });
const declined = (n: number, reopened: boolean): CoreEvent => ({
  ...place,
  type: 'JobDeclined',
  jobId: jobId(n),
  node: address(5),
  reopened,
});
const ended = (n: number, type: 'JobCanceled' | 'JobVerified' | 'JobTimedOut'): CoreEvent => ({
  ...place,
  type,
  jobId: jobId(n),
});
const paid = (n: number): CoreEvent => ({
  ...place,
  type: 'WorkerPaid',
  jobId: jobId(n),
  worker: address(6),
  index: 0,
  amountWei: 1n,
});

/** The queue's rows as they are in the database. */
async function readRows(options: StoreOptions): Promise<unknown[]> {
  const queries = ['select * from jobs order by id', 'select * from job_events order by id'];
  return Promise.all(queries.map((query) => runSql(options, query)));
}

describeEachDatabase('events of one range', (database) => {
  let store: Store;
  beforeEach(async () => {
    store = await database.open();
  });

  const historyOf = async (n: number) =>
    (await store.jobs.history(jobId(n))).map(({ state, reason }) => [state, reason]);

  test('events of several jobs: moves in the order of the chain', async () => {
    const events = [request(1), request(2), taken(1), declined(1, true), taken(2), ended(2, 'JobVerified'), paid(2)];
    const moves = await applyEvents(store, events);
    expect(moves.map(({ jobId: id, state }) => [id, state])).toEqual([
      [jobId(1), 'REQUESTED'],
      [jobId(2), 'REQUESTED'],
      [jobId(1), 'PROCESSING'],
      [jobId(1), 'REQUESTED'],
      [jobId(2), 'PROCESSING'],
      [jobId(2), 'VERIFIED'],
    ]);
    expect(await store.jobs.find(jobId(1))).toMatchObject({
      dataset: 'data 1',
      chainState: 'REQUESTED',
      state: 'queued',
    });
    expect(await store.jobs.find(jobId(2))).toMatchObject({
      chainState: 'VERIFIED',
      state: 'failed',
      node: address(5),
    });
    expect(await historyOf(1)).toEqual([
      ['queued', undefined],
      ['skipped', `taken by node ${address(5)}`],
      ['queued', undefined],
    ]);
    expect(await historyOf(2)).toEqual([
      ['queued', undefined],
      ['skipped', `taken by node ${address(5)}`],
      ['failed', 'it is VERIFIED on chain'],
    ]);
  });

  test('events of ended or unknown jobs: ignored', async () => {
    await applyEvents(store, [
      taken(1),
      taken(2),
      request(2),
      ended(3, 'JobCanceled'),
      request(4),
      ended(4, 'JobTimedOut'),
      taken(4),
    ]);
    expect(await store.jobs.find(jobId(1))).toBeUndefined();
    expect(await store.jobs.find(jobId(2))).toMatchObject({
      chainState: 'REQUESTED',
      state: 'queued',
      node: undefined,
    });
    expect(await store.jobs.find(jobId(3))).toBeUndefined();
    expect(await store.jobs.find(jobId(4))).toMatchObject({ chainState: 'TIMEOUT', state: 'failed', node: undefined });
    expect(await historyOf(3)).toEqual([]);
  });

  test('job that this node lost or left, given back by another: open again', async () => {
    await applyEvents(store, [request(1), request(2)]);
    await store.jobs.claim(jobId(1), address(9));
    await store.jobs.move(jobId(1), 'claimed', 'failed', { reason: 'The chain says PROCESSING' });
    await store.jobs.skip(jobId(2), 'queued', { reason: 'no text' });
    for (const n of [1, 2]) await applyEvents(store, [taken(n), declined(n, true)]);
    for (const n of [1, 2]) {
      expect(await store.jobs.find(jobId(n))).toMatchObject({ state: 'queued', owner: undefined, reason: undefined });
    }
  });

  test('job that this node gave back itself: stays as it is', async () => {
    await applyEvents(store, [request(1), request(2)]);
    for (const n of [1, 2]) {
      await store.jobs.claim(jobId(n), address(5));
      await store.jobs.move(jobId(n), 'claimed', n === 1 ? 'failed' : 'declining');
    }
    await store.jobs.move(jobId(2), 'declining', 'declined');
    for (const n of [1, 2]) await applyEvents(store, [taken(n), declined(n, true)]);
    expect((await store.jobs.find(jobId(1)))?.state).toBe('failed');
    expect((await store.jobs.find(jobId(2)))?.state).toBe('declined');
  });

  test('job looked at again and again: history only when its state changes', async () => {
    await applyEvents(store, [request(1)]);
    for (const n of [1, 2, 3]) {
      const { state } = (await store.jobs.find(jobId(1)))!;
      await store.jobs.skip(jobId(1), state as 'queued' | 'skipped', { reason: `reason ${n}`, lookAtMs: n });
    }
    expect(await store.jobs.find(jobId(1))).toMatchObject({ reason: 'reason 3', lookAtMs: 3 });
    expect(await historyOf(1)).toEqual([
      ['queued', undefined],
      ['skipped', 'reason 1'],
    ]);
    expect((await store.jobs.listOpen(9)).map(({ id }) => id)).toEqual([jobId(1)]);
    await store.jobs.skip(jobId(1), 'skipped', { reason: 'no text' });
    await store.jobs.lookAtAll();
    expect(await store.jobs.listOpen(9)).toEqual([]);
  });

  test('claimed job: keeps its state, owner and plan', async () => {
    await applyEvents(store, [request(1)]);
    await store.jobs.claim(jobId(1), address(9));
    await store.jobs.move(jobId(1), 'claimed', 'preparing', { plan: { rounds: 2 }, reason: 'why' });
    await applyEvents(store, [taken(1, address(9)), request(1)]);
    expect((await store.jobs.find(jobId(1)))?.chainState).toBe('PROCESSING');
    await applyEvents(store, [ended(1, 'JobTimedOut')]);
    expect(await store.jobs.find(jobId(1))).toMatchObject({
      chainState: 'TIMEOUT',
      node: address(9),
      state: 'preparing',
      owner: address(9),
      plan: { rounds: 2 },
      reason: 'why',
    });
    expect((await historyOf(1)).map(([state]) => state)).toEqual(['queued', 'claimed', 'preparing']);
  });

  test('crash in mid-range: nothing left, the repeated range counts once', async () => {
    const jobs = Array.from({ length: 250 }, (_, i) => i + 1);
    const range = jobs.flatMap((n) => [request(n), taken(n)]);
    const follow = (fail: boolean) =>
      store.transaction(async (tx) => {
        await applyEvents(tx, range);
        if (fail) throw new Error('power cut');
        await tx.cursors.save('reader', { number: 7, hash: '0xb1' });
      });
    await applyEvents(store, [request(200)]);
    await expect(follow(true)).rejects.toThrow('power cut');
    expect((await store.jobs.list()).map(({ id, state }) => [id, state])).toEqual([[jobId(200), 'queued']]);
    expect(await store.cursors.find('reader')).toBeUndefined();
    await follow(false);
    await follow(false);
    expect(await store.jobs.list({ states: ['skipped'] })).toHaveLength(250);
    for (const n of [1, 100, 101, 200, 250]) {
      expect((await historyOf(n)).map(([state]) => state)).toEqual(['queued', 'skipped']);
    }
  });

  test('range applied again later: nothing is written', async () => {
    let nowMs = 1000;
    const later = await database.open({ ...systemClock, now: () => nowMs++ });
    const kept = [request(1), request(2), request(3), request(4), taken(1), ended(2, 'JobCanceled')];
    // The last leaves its job in the state that the range found it in.
    const range = [taken(3), declined(3, true)];
    for (const events of [kept, range]) {
      await applyEvents(later, events);
      const rows = await readRows(database.options);
      await applyEvents(later, events);
      expect(await readRows(database.options)).toEqual(rows);
    }
  });

  test('masters apply the same new jobs at once: each added once', async () => {
    const jobs = Array.from({ length: 40 }, (_, i) => i + 1);
    const masters = await Promise.all([1, 2, 3].map(() => database.open()));
    // One by one, so that they begin together each time.
    for (const n of jobs)
      await Promise.all(masters.map((each) => each.transaction((tx) => applyEvents(tx, [request(n)]))));
    for (const n of jobs) expect(await historyOf(n)).toEqual([['queued', undefined]]);
  });

  test('masters apply events while jobs are claimed: no claim is lost', async () => {
    const jobs = Array.from({ length: 120 }, (_, i) => i + 1);
    const masters = await Promise.all([1, 2, 3].map(() => database.open()));
    await applyEvents(store, jobs.slice(0, 60).map(request));
    const range = jobs.flatMap((n) => [request(n), taken(n), ended(n, 'JobTimedOut')]);
    const claims = jobs.map((n) => store.jobs.claim(jobId(n), address(9)));
    const following = masters.map((each) => each.transaction((tx) => applyEvents(tx, range)));
    const won = await Promise.all(claims);
    await Promise.all(following);
    for (const [i, n] of jobs.entries()) {
      const job = await store.jobs.find(jobId(n));
      expect(job).toMatchObject({
        chainState: 'TIMEOUT',
        ...(won[i] ? { state: 'claimed', owner: address(9) } : { state: 'failed' }),
      });
      const states = (await historyOf(n)).map(([state]) => state);
      expect(states).toEqual(won[i] ? ['queued', 'claimed'] : ['queued', 'skipped', 'failed']);
    }
  });

  test('events cut into any ranges: the same queue', async () => {
    const kinds = [
      request,
      taken,
      (n: number) => declined(n, true),
      (n: number) => declined(n, false),
      (n: number) => ended(n, 'JobVerified'),
      paid,
    ];
    const step = fc.record({
      event: fc.constantFrom(...kinds),
      job: fc.integer({ min: 1, max: 3 }),
      cut: fc.boolean(),
    });
    let base = 0;
    /** What became of three fresh jobs; a range ends after each step that says so. */
    const outcome = async (steps: readonly { event: (n: number) => CoreEvent; job: number; cut: boolean }[]) => {
      base += 10;
      const ranges: CoreEvent[][] = [[]];
      for (const { event, job, cut } of steps) {
        ranges.at(-1)?.push(event(base + job));
        if (cut) ranges.push([]);
      }
      for (const range of ranges) await applyEvents(store, range);
      return Promise.all(
        [1, 2, 3].map(async (n) => {
          const { chainState, state, node, reason } = (await store.jobs.find(jobId(base + n))) ?? {};
          // A range that leaves a job as it found it leaves no trace of what was between.
          return { chainState, state, node, reason, last: (await historyOf(base + n)).at(-1) };
        }),
      );
    };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 16 }), async (steps) => {
        const inOne = await outcome(steps.map((each) => ({ ...each, cut: false })));
        expect(await outcome(steps)).toEqual(inOne);
        expect(await outcome(steps.map((each) => ({ ...each, cut: true })))).toEqual(inOne);
      }),
      { numRuns: database.kind === 'sqlite' ? 60 : 25 },
    );
  });
});
