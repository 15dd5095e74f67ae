/** The board's tables on both databases: events that come, go and become final, and pages. */
import { Address, JobId } from '../../../src/domain/ids';
import type { ChainState } from '../../../src/domain/job';
import type { IndexedEvent } from '../../../src/store/board';
import type { Store } from '../../../src/store/open';
import { describeEachDatabase, runSql } from '../../support/each-database';

jest.setTimeout(120_000);

const jobId = (n: number) => JobId.parse(`0x${n.toString(16).padStart(32, '0')}`);
const address = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const hash = (n: number) => `0x${n.toString(16).padStart(64, '0')}`;

/** An event of a job in a block; the fork tells blocks of one number apart. */
function event(job: number, block: number, state: ChainState, changes: Partial<IndexedEvent> = {}): IndexedEvent {
  const request =
    state === 'REQUESTED'
      ? {
          requester: address(1),
          dataset: `sha256:${job}`,
          params: '{}',
          feeWei: BigInt(job) * 10n ** 18n,
          fuelLimit: 5n,
          deadlineMs: 2 ** 42 - job,
        }
      : undefined;
  return {
    jobId: jobId(job),
    type: state === 'REQUESTED' ? 'JobRequested' : `Job${state}`,
    blockNumber: block,
    blockHash: hash(block),
    logIndex: job,
    txHash: hash(1000 + block),
    state,
    node: state === 'PROCESSING' ? address(2) : undefined,
    request,
    facts: { a: 'b' },
    ...changes,
  };
}

describeEachDatabase('board', (database) => {
  let store: Store;
  beforeEach(async () => {
    store = await database.open();
  });

  const stateOf = async (job: number) => {
    const found = await store.board.find(jobId(job));
    return found && [found.state, found.isFinal, found.node];
  };

  test('events of a job: its row and history follow from them', async () => {
    await store.board.takeFinal([event(1, 5, 'REQUESTED'), event(1, 6, 'PROCESSING')], 6);
    expect(await store.board.find(jobId(1))).toEqual({
      jobId: jobId(1),
      state: 'PROCESSING',
      isFinal: true,
      requester: address(1),
      node: address(2),
      dataset: 'sha256:1',
      params: '{}',
      feeWei: 10n ** 18n,
      fuelLimit: 5n,
      deadlineMs: 2 ** 42 - 1,
      requestedBlock: 5,
      updatedBlock: 6,
      txHash: hash(1005),
    });
    const history = await store.board.history(jobId(1));
    expect(history.map(({ type, state, facts }) => [type, state, facts])).toEqual([
      ['JobRequested', 'REQUESTED', { a: 'b' }],
      ['JobPROCESSING', 'PROCESSING', { a: 'b' }],
    ]);
  });

  test('tentative blocks replaced: the state before them is back', async () => {
    await store.board.takeFinal([event(1, 5, 'REQUESTED')], 5);
    await store.board.takeTentative(6, [event(1, 6, 'PROCESSING'), event(2, 7, 'REQUESTED')]);
    expect(await stateOf(1)).toEqual(['PROCESSING', false, address(2)]);
    expect(await stateOf(2)).toEqual(['REQUESTED', false, undefined]);
    const moved = { blockHash: hash(77) };
    await store.board.takeTentative(6, [event(1, 7, 'CANCELED', moved)]);
    expect(await stateOf(1)).toEqual(['CANCELED', false, undefined]);
    expect(await stateOf(2)).toBeUndefined();
    await store.board.takeTentative(6, []);
    expect(await stateOf(1)).toEqual(['REQUESTED', true, undefined]);
  });

  test('blocks become final: their tentative events are gone', async () => {
    await store.board.takeTentative(5, [event(1, 5, 'REQUESTED'), event(2, 5, 'REQUESTED'), event(3, 9, 'REQUESTED')]);
    await store.board.takeFinal([event(1, 5, 'REQUESTED')], 6);
    expect([await stateOf(1), await stateOf(2), await stateOf(3)]).toEqual([
      ['REQUESTED', true, undefined],
      undefined,
      ['REQUESTED', false, undefined],
    ]);
  });

  test('batch applied twice: each event is there once', async () => {
    const batch = [event(1, 5, 'REQUESTED'), event(1, 6, 'PROCESSING')];
    await store.board.takeFinal(batch, 6);
    await store.board.takeFinal(batch, 6);
    expect(await store.board.history(jobId(1))).toHaveLength(2);
    expect((await store.board.list({ sort: 'newest', limit: 10, offset: 0 })).total).toBe(1);
  });

  test('declined job: open again, without a node', async () => {
    await store.board.takeFinal([event(1, 5, 'REQUESTED'), event(1, 6, 'PROCESSING')], 6);
    await store.board.takeFinal([event(1, 7, 'REQUESTED', { type: 'JobDeclined', request: undefined })], 7);
    expect(await stateOf(1)).toEqual(['REQUESTED', true, undefined]);
    expect((await store.board.find(jobId(1)))?.requestedBlock).toBe(5);
  });

  test('list: filtered, sorted and paged, with the total', async () => {
    const events = Array.from({ length: 25 }, (_, i) => event(i + 1, 100 + i, 'REQUESTED'));
    await store.board.takeFinal([...events, event(25, 200, 'CANCELED')], 200);
    const page = async (sort: 'newest' | 'fee' | 'deadline', offset: number, states?: ChainState[]) => {
      const { jobs, total } = await store.board.list({ sort, limit: 10, offset, states });
      return [total, jobs.map((job) => Number(job.jobId))];
    };
    const down = (from: number, count: number) => Array.from({ length: count }, (_, i) => from - i);
    expect(await page('newest', 0)).toEqual([25, down(25, 10)]);
    expect(await page('fee', 20)).toEqual([25, down(5, 5)]);
    expect(await page('deadline', 0, ['REQUESTED'])).toEqual([24, down(24, 10)]);
    expect(await page('newest', 0, ['CANCELED', 'VERIFIED'])).toEqual([1, [25]]);
    expect(await page('newest', 100)).toEqual([25, []]);
  });

  test('sizes: kept when jobs move on, failed lookups not listed for a while', async () => {
    const file = event(3, 5, 'REQUESTED');
    const local = { ...file, request: { ...file.request!, dataset: 'file:/data.txt' } };
    await store.board.takeFinal([event(1, 5, 'REQUESTED'), event(2, 6, 'REQUESTED'), local], 6);
    const unsized = async (limit: number, askedBeforeMs: number) =>
      (await store.board.unsized(limit, askedBeforeMs)).map(({ dataset }) => dataset);
    expect(await unsized(10, 0)).toEqual(['sha256:2', 'sha256:1']);
    expect(await unsized(1, 0)).toEqual(['sha256:2']);
    await store.board.saveSize([jobId(2)], undefined, 1000);
    expect(await unsized(1, 1000)).toEqual(['sha256:1']);
    await store.board.saveSize([jobId(1)], 7, 1000);
    await store.board.takeFinal([event(1, 7, 'PROCESSING'), event(2, 7, 'PROCESSING')], 7);
    expect((await store.board.find(jobId(1)))?.datasetBytes).toBe(7);
    expect(await unsized(10, 1000)).toEqual([]);
    expect(await unsized(10, 1001)).toEqual(['sha256:2']);
  });

  test('masters write the same events at once: each is there once', async () => {
    const others = await Promise.all([1, 2, 3].map(() => database.open()));
    const writeAll = async (board: Store['board']) => {
      for (let block = 1; block <= 20; block += 1) {
        const batch = [event(block, block, 'REQUESTED'), event(100 + block, block, 'REQUESTED')];
        await board.takeTentative(block, batch);
        await board.takeFinal(batch, block);
        await board.takeTentative(block + 1, [event(block, block + 1, 'PROCESSING')]);
      }
      await board.takeTentative(21, []);
    };
    await Promise.all([store, ...others].map(({ board }) => writeAll(board)));
    const { jobs, total } = await store.board.list({ sort: 'newest', limit: 100, offset: 0 });
    expect(total).toBe(40);
    expect(jobs.every(({ state, isFinal }) => state === 'REQUESTED' && isFinal)).toBe(true);
    for (const { jobId } of jobs) expect(await store.board.history(jobId)).toHaveLength(1);
  });

  test('upgrade cut short: the next opening completes it', async () => {
    await store.board.takeFinal([event(1, 5, 'REQUESTED')], 5);
    await store[Symbol.asyncDispose]();
    const onBoard = database.kind === 'mysql' ? ' on board_jobs' : ''; // SQLite knows an index by its name alone
    for (const statement of [
      "delete from kysely_migration where name >= '0003-board-order'",
      `drop index board_jobs_state_deadline${onBoard}`,
      `drop index board_jobs_fee${onBoard}`,
    ]) {
      await runSql(database.options, statement);
    }
    store = await database.open();
    expect(await stateOf(1)).toEqual(['REQUESTED', true, undefined]);
    for (const name of ['board_jobs_state_deadline', 'board_jobs_fee']) {
      // Not toThrow: SQLite's errors may be of the realm of another test file, and no Error here.
      const again = runSql(database.options, `create index ${name} on board_jobs (id)`);
      await expect(again).rejects.toMatchObject({ message: expect.stringContaining(name) });
    }
  });

  test('10,000 jobs: pages in order, without gaps or repeats', async () => {
    const count = 10_000;
    const batch = 1000;
    for (let first = 1; first <= count; first += batch) {
      const jobs = Array.from({ length: batch }, (_, i) => first + i);
      // Ten jobs to a block: the order among them must be the same on every page.
      const events = jobs.map((n) => event(n, Math.ceil(n / 10), 'REQUESTED'));
      await store.board.takeFinal(events, Math.ceil((first + batch) / 10));
    }
    await store.board.takeFinal([event(count, 5000, 'CANCELED'), event(count - 1, 5000, 'PROCESSING')], 5000);
    const seen: number[] = [];
    for (let offset = 0; offset < count; offset += 200) {
      const { jobs, total } = await store.board.list({ sort: 'newest', limit: 200, offset });
      expect(total).toBe(count);
      seen.push(...jobs.map((job) => Number(job.jobId)));
    }
    expect(seen).toEqual(Array.from({ length: count }, (_, i) => count - i));
    const states: ChainState[] = ['REQUESTED', 'CANCELED'];
    const { jobs, total } = await store.board.list({ sort: 'fee', states, limit: 3, offset: count - 4 });
    expect([total, jobs.map((job) => Number(job.jobId))]).toEqual([count - 1, [3, 2, 1]]);
  });
});
