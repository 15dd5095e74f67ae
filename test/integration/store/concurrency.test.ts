/** Several stores and processes on one database at once: nothing is lost, nothing happens twice. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Address, JobId, Sha256 } from '../../../src/domain/ids';
import { openStore, type Store } from '../../../src/store/open';
import { describeEachDatabase } from '../../support/each-database';
import { requestJob } from '../../support/request-job';
import { openScratch } from '../../support/scratch';

jest.setTimeout(120_000);

const jobId = (n: number) => JobId.parse(`0x${n.toString(16).padStart(32, '0')}`);
const address = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const sha = (n: number) => Sha256.parse(n.toString(16).padStart(64, '0'));
const newJob = (n: number) => ({
  id: jobId(n),
  requester: address(1),
  dataset: 'x',
  params: '{}',
  feeWei: 1n,
  fuelLimit: 1n,
  deadlineMs: 1,
  requestedBlock: 1,
});
const count = (n: number) => Array.from({ length: n }, (_, i) => i);

describeEachDatabase('four stores at once', (database) => {
  let stores: Store[];
  const store = (n: number) => stores[n % stores.length] as Store;
  beforeEach(async () => {
    // All four create the tables at the same time.
    stores = await Promise.all(count(4).map(() => database.open()));
  });

  test('200 jobs: each saved once, claimed once, with its history', async () => {
    const saved = await Promise.all(count(400).map((i) => requestJob(store(i), newJob(1 + (i >> 1)))));
    expect(saved.filter(Boolean)).toHaveLength(200);
    const won = await Promise.all(
      count(800).map((i) => store(i).jobs.claim(jobId(1 + (i >> 2)), address(1 + (i % 4)))),
    );
    expect(won.filter(Boolean)).toHaveLength(200);
    for (const n of count(200)) {
      const history = await store(n).jobs.history(jobId(n + 1));
      expect(history.map(({ state }) => state)).toEqual(['queued', 'claimed']);
    }
  });

  test('grants and releases at once: no block leased twice, ranges joined', async () => {
    await store(0).ledger.initialise(jobId(1), 100);
    const grant = (i: number) =>
      store(i).ledger.grant({
        leaseId: `lease-${i}`,
        jobId: jobId(1),
        round: 0,
        worker: address(1),
        blocks: 3,
        expiresAtMs: 1,
      });
    const granted = await Promise.all(count(24).map(grant));
    const leased = granted.flatMap((range) =>
      range ? count(range.end - range.start).map((p) => range.start + p) : [],
    );
    expect(new Set(leased).size).toBe(leased.length);
    expect(leased).toHaveLength(72);
    // Neighbours return while others are granted.
    await Promise.all(
      count(24).flatMap((i) => [
        store(i + 1).ledger.release(`lease-${i}`, 'test'),
        i % 3 === 0 ? grant(100 + i) : undefined,
      ]),
    );
    await expectPartition(store(0), 100);
    await Promise.all(count(24).map((i) => store(i).ledger.release(`lease-${100 + i}`, 'test')));
    expect(await store(0).ledger.listRanges(jobId(1))).toEqual([
      { start: 0, end: 100, state: 'AVAILABLE', leaseId: undefined },
    ]);
  });

  test('fold against release: one of them wins for all leases', async () => {
    await store(0).ledger.initialise(jobId(1), 40);
    for (const round of count(8)) {
      await store(0).rounds.open(jobId(1), round, sha(1));
      const leaseIds = count(5).map((i) => `r${round}-${i}`);
      for (const leaseId of leaseIds) {
        const lease = { leaseId, jobId: jobId(1), round, worker: address(1), blocks: 1, expiresAtMs: 1 };
        await store(1).ledger.grant(lease);
        const update = { sha256: sha(1), bytes: 1 };
        const work = { update, tokens: 1, loss: 1, lossCurve: [], seconds: 1, endTheta: sha(2) };
        await store(1).ledger.commit(leaseId, address(1), work);
      }
      const fold = { jobId: jobId(1), round, nextTheta: sha(2), delta: sha(3), outer: sha(4), scale: 1 };
      const before = await store(0).ledger.merged(jobId(1));
      const [folded, ...released] = await Promise.all([
        store(0)
          .rounds.fold({ ...fold, leases: leaseIds.map((leaseId) => ({ leaseId, weight: 0.2 })) })
          .then(
            () => true,
            (error: { code: string }) => error.code,
          ),
        ...[...leaseIds].reverse().map((leaseId, i) => store(1 + (i % 3)).ledger.release(leaseId, 'late')),
      ]);
      const merged = (await store(0).ledger.merged(jobId(1))) - before;
      expect(folded === true || folded === 'store/lease-not-committed').toBe(true);
      expect(merged).toBe(folded === true ? 5 : 0);
      expect(released.filter(Boolean)).toHaveLength(folded === true ? 0 : 5);
      await expectPartition(store(0), 40);
    }
  });

  test('80 strikes at once: none is lost', async () => {
    await Promise.all(count(80).map((i) => store(i).workers.addStrike(address(1), 'NaN')));
    expect(await store(0).workers.addStrike(address(1), 'NaN')).toBe(81);
  });
});

describe('processes on one SQLite file', () => {
  test('four processes create and write it: nothing is lost', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('queue.sqlite');
    const writers = [1, 1001, 2001, 3001].map((first) => startWriter(path, first, 50));
    const codes = await Promise.all(writers.map(async (child) => (await once(child, 'exit'))[0]));
    expect(codes).toEqual([0, 0, 0, 0]);
    await using store = await openStore({ kind: 'sqlite', path });
    expect(await store.jobs.list({ states: ['claimed'] })).toHaveLength(200);
    expect(await store.workers.addStrike(address(1), 'one more')).toBe(201);
  });

  test('writer killed: every acknowledged row is there', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('queue.sqlite');
    const child = startWriter(path, 1, 1_000_000);
    let acknowledged = 0;
    if (!child.stdout) throw new Error('no output to read');
    for await (const line of createInterface(child.stdout)) {
      acknowledged = Number(line);
      if (acknowledged === 60) child.kill('SIGKILL');
    }
    expect(acknowledged).toBeGreaterThanOrEqual(60);
    await using store = await openStore({ kind: 'sqlite', path });
    expect((await store.jobs.list({ states: ['claimed'] })).length).toBeGreaterThanOrEqual(acknowledged);
    for (const job of await store.jobs.list()) {
      const history = await store.jobs.history(job.id);
      expect(history.at(-1)?.state).toBe(job.state);
    }
  });
});

function startWriter(path: string, first: number, rows: number): ChildProcess {
  const script = join(__dirname, '../../fixtures/store-writer.ts');
  const args = ['-r', 'ts-node/register/transpile-only', script, path, String(first), String(rows)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function expectPartition(store: Store, total: number): Promise<void> {
  const ranges = await store.ledger.listRanges(jobId(1));
  expect(ranges.map(({ start }) => start)).toEqual([0, ...ranges.slice(0, -1).map(({ end }) => end)]);
  expect(ranges.at(-1)?.end).toBe(total);
  const leased = (await store.ledger.listLeases(jobId(1))).filter(({ state }) => state !== 'released');
  const held = ranges.filter(({ state }) => state !== 'AVAILABLE');
  const byStart = (a: { start: number }, b: { start: number }) => a.start - b.start;
  expect(held.map(({ start, end }) => ({ start, end }))).toEqual(
    leased.map(({ start, end }) => ({ start, end })).sort(byStart),
  );
}
