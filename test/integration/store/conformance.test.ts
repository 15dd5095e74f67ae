/** The store's repositories, with the same results on both databases. */
import fc from 'fast-check';
import { Address, JobId, Sha256 } from '../../../src/domain/ids';
import { byFee } from '../../../src/domain/job-fit';
import { dropTables, type Store } from '../../../src/store/open';
import { describeEachDatabase } from '../../support/each-database';
import { requestJob } from '../../support/request-job';

jest.setTimeout(120_000);

const jobId = (n: number) => JobId.parse(`0x${n.toString(16).padStart(32, '0')}`);
const address = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);
const sha = (n: number) => Sha256.parse(n.toString(16).padStart(64, '0'));
const newJob = (n: number, feeWei = BigInt(n)) => ({
  id: jobId(n),
  requester: address(1),
  dataset: 'sha256:é',
  params: '{"a":1}',
  feeWei,
  fuelLimit: 10n ** 30n,
  deadlineMs: 2 ** 42,
  requestedBlock: 7,
});
const merged = (leaseId: string) => ({ leaseId, weight: 0.25 });
const work = (n: number, tokens = 100) => ({
  update: { sha256: sha(n), bytes: 10 },
  tokens,
  loss: 1.25,
  lossCurve: [2, 1.25],
  seconds: 0.5,
  endTheta: sha(n + 1),
});

describeEachDatabase('store', (database) => {
  let store: Store;
  beforeEach(async () => {
    store = await database.open();
  });

  describe('jobs', () => {
    test('saved twice and reopened: the first row is found', async () => {
      expect(await requestJob(store, newJob(1, 2n ** 96n))).toBe(true);
      expect(await requestJob(store, { ...newJob(1), dataset: 'other' })).toBe(false);
      const found = await store.jobs.find(jobId(1));
      expect(found).toMatchObject({ ...newJob(1, 2n ** 96n), state: 'queued', chainState: 'REQUESTED' });
      await store[Symbol.asyncDispose]();
      store = await database.open();
      expect(await store.jobs.find(jobId(1))).toEqual(found);
    });

    test('list: best paid first, whatever the number of digits, by page', async () => {
      for (const [n, fee] of [5n, 1000n, 99n, 10n ** 30n].entries()) await requestJob(store, newJob(n + 1, fee));
      const fees = (await store.jobs.list({ states: ['queued'] })).map((job) => job.feeWei);
      expect(fees).toEqual([10n ** 30n, 1000n, 99n, 5n]);
      await requestJob(store, newJob(9, 99n));
      const rows = await store.jobs.list({});
      expect(rows.map(({ id }) => id)).toEqual([...rows].sort(byFee).map(({ id }) => id));
      expect((await store.jobs.list({ limit: 2, offset: 1 })).map((job) => job.feeWei)).toEqual([1000n, 99n]);
    });

    test('four masters claim at once: each job has exactly one owner', async () => {
      const jobs = Array.from({ length: 60 }, (_, i) => i + 1);
      for (const n of jobs) await requestJob(store, newJob(n));
      const stores = await Promise.all([1, 2, 3, 4].map(() => database.open()));
      const won = await Promise.all(
        stores.map(async (own, master) => {
          let count = 0;
          for (const n of jobs) if (await own.jobs.claim(jobId(n), address(master + 1))) count += 1;
          return count;
        }),
      );
      expect(won.reduce((a, b) => a + b, 0)).toBe(jobs.length);
      const owners = (await store.jobs.list({ states: ['claimed'] })).map((job) => job.owner);
      expect(owners).toHaveLength(jobs.length);
    });

    test('move: only from the given state and along the table, with history', async () => {
      await requestJob(store, newJob(1));
      await store.jobs.claim(jobId(1), address(9));
      const result = {
        manifest: sha(1),
        fuelUsed: 2n ** 80n,
        payoutRoot: '0x1',
        shares: [{ index: 0, worker: address(3), amountWei: 5n, tokens: 1 }],
        blobs: [sha(2)],
      };
      expect(await store.jobs.move(jobId(1), 'queued', 'skipped')).toBe(false);
      expect(await store.jobs.move(jobId(1), 'claimed', 'preparing', { plan: { a: [1, 'é'] } })).toBe(true);
      expect(await store.jobs.move(jobId(1), 'preparing', 'training')).toBe(true);
      expect(await store.jobs.move(jobId(1), 'training', 'exporting')).toBe(true);
      expect(await store.jobs.move(jobId(1), 'exporting', 'submitting', { result, reason: 'why' })).toBe(true);
      expect(await store.jobs.find(jobId(1))).toMatchObject({
        plan: { a: [1, 'é'] },
        result,
        reason: 'why',
        owner: address(9),
      });
      const states = (await store.jobs.history(jobId(1))).map(({ state }) => state);
      expect(states).toEqual(['queued', 'claimed', 'preparing', 'training', 'exporting', 'submitting']);
      await expect(store.jobs.move(jobId(1), 'submitting', 'queued')).rejects.toMatchObject({
        code: 'store/forbidden-move',
      });
    });

    test('job taken or ended on chain: leaves the queue, an end is final', async () => {
      await requestJob(store, newJob(1));
      await requestJob(store, newJob(2));
      await store.jobs.applyChain([{ jobId: jobId(1), state: 'PROCESSING', node: address(5) }]);
      expect(await store.jobs.find(jobId(1))).toMatchObject({
        state: 'skipped',
        chainState: 'PROCESSING',
        node: address(5),
      });
      await store.jobs.applyChain([{ jobId: jobId(2), state: 'CANCELED' }]);
      await store.jobs.applyChain([{ jobId: jobId(2), state: 'REQUESTED' }]);
      expect(await store.jobs.find(jobId(2))).toMatchObject({ state: 'failed', chainState: 'CANCELED' });
      await store.jobs.applyChain([{ jobId: jobId(3), state: 'CANCELED' }]);
      expect(await store.jobs.find(jobId(3))).toBeUndefined();
    });
  });

  describe('ledger', () => {
    const grant = (leaseId: string, blocks: number, round = 0, worker = address(1)) =>
      store.ledger.grant({ leaseId, jobId: jobId(1), round, worker, blocks, expiresAtMs: 1 });

    test('lowest blocks leased and released: joined again', async () => {
      await store.ledger.initialise(jobId(1), 10);
      await store.ledger.initialise(jobId(1), 99);
      expect(await grant('a', 4)).toEqual({ start: 0, end: 4 });
      expect(await grant('b', 4)).toEqual({ start: 4, end: 8 });
      expect(await grant('c', 4)).toEqual({ start: 8, end: 10 });
      expect(await grant('d', 4)).toBeUndefined();
      expect(await store.ledger.release('b', 'late')).toBe(true);
      expect(await store.ledger.release('b', 'again')).toBe(false);
      expect(await store.ledger.release('a', 'late')).toBe(true);
      expect(await store.ledger.listRanges(jobId(1))).toEqual([
        { start: 0, end: 8, state: 'AVAILABLE', leaseId: undefined },
        { start: 8, end: 10, state: 'LEASED', leaseId: 'c' },
      ]);
      expect(await store.ledger.available(jobId(1))).toBe(8);
    });

    test('commit: stale for a lost lease, duplicate when repeated', async () => {
      await store.ledger.initialise(jobId(1), 10);
      await grant('a', 5);
      expect(await store.ledger.commit('a', address(2), work(1))).toBe('stale');
      expect(await store.ledger.commit('a', address(1), work(1))).toBe('committed');
      expect(await store.ledger.commit('a', address(1), work(1))).toBe('duplicate');
      expect(await store.ledger.commit('a', address(1), work(2))).toBe('stale');
      await store.ledger.release('a', 'rejected');
      expect(await store.ledger.commit('a', address(1), work(1))).toBe('stale');
      expect(await store.ledger.commit('none', address(1), work(1))).toBe('stale');
    });

    test('fold with an uncommitted lease: refused, nothing folded', async () => {
      await store.ledger.initialise(jobId(1), 10);
      await store.rounds.open(jobId(1), 0, sha(1));
      await grant('a', 5);
      await grant('b', 5);
      await store.ledger.commit('a', address(1), work(1));
      const fold = {
        jobId: jobId(1),
        round: 0,
        nextTheta: sha(2),
        delta: sha(3),
        outer: sha(4),
        scale: 1,
      };
      await expect(store.rounds.fold({ ...fold, leases: [merged('a'), merged('b')] })).rejects.toMatchObject({
        code: 'store/lease-not-committed',
      });
      expect(await store.ledger.merged(jobId(1))).toBe(0);
      expect((await store.rounds.latest(jobId(1)))?.state).toBe('open');

      await store.rounds.fold({ ...fold, leases: [merged('a')] });
      expect(await store.ledger.merged(jobId(1))).toBe(5);
      expect(await store.rounds.latest(jobId(1))).toMatchObject({ state: 'folded', nextTheta: sha(2), scale: 1 });
      expect(await store.rounds.tokensByWorker(jobId(1))).toEqual(new Map([[address(1), 100]]));
      expect(await store.ledger.release('a', 'too late')).toBe(false);
      expect(await store.rounds.latest(jobId(1))).toMatchObject({ isConfirmed: false });
      await expect(store.rounds.fold({ ...fold, leases: [] })).rejects.toMatchObject({
        code: 'store/round-not-open',
      });
      expect((await store.ledger.listLeases(jobId(1), 0)).find(({ leaseId }) => leaseId === 'a')).toMatchObject({
        state: 'merged',
        work: work(1),
        weight: 0.25,
      });
      expect(await store.rounds.evidence(jobId(1))).toEqual({
        updates: [work(1).update.sha256],
        thetas: [sha(1), sha(2)],
        rest: expect.arrayContaining([sha(3), sha(4)]),
      });
    });

    test('any sequence of steps: ranges partition the job, blocks merge once', async () => {
      const step = fc.oneof(
        fc.record({ do: fc.constant('grant' as const), blocks: fc.integer({ min: 1, max: 9 }) }),
        fc.record({ do: fc.constantFrom('commit' as const, 'release' as const), pick: fc.nat() }),
        fc.record({ do: fc.constant('fold' as const) }),
      );
      let n = 0;
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 30 }), fc.array(step, { maxLength: 25 }), async (total, steps) => {
          const id = jobId(1000 + ++n);
          await runSteps(store, id, total, steps);
        }),
        { numRuns: database.kind === 'sqlite' ? 25 : 12 },
      );
    });
  });

  test('transaction: cursor and effects are kept together or not at all', async () => {
    const failing = store.transaction(async (tx) => {
      await requestJob(tx, newJob(1));
      await tx.cursors.save('reader', { number: 5, hash: '0xaa' });
      throw new Error('power cut');
    });
    await expect(failing).rejects.toThrow('power cut');
    expect(await store.jobs.find(jobId(1))).toBeUndefined();
    expect(await store.cursors.find('reader')).toBeUndefined();
    await store.transaction(async (tx) => {
      await requestJob(tx, newJob(1));
      await tx.cursors.save('reader', { number: 5, hash: '0xaa' });
    });
    await store.cursors.save('reader', { number: 6, hash: '0xbb' });
    expect(await store.cursors.find('reader')).toEqual({ number: 6, hash: '0xbb' });
    expect(await store.jobs.find(jobId(1))).toBeDefined();
  });

  test('workers: blocked until allowed, strikes counted', async () => {
    expect(await store.workers.allow(address(1))).toBe(false);
    expect(await Promise.all([1, 2, 3].map(() => store.workers.addStrike(address(1), 'NaN')))).toContain(3);
    await store.workers.block(address(1));
    expect(await store.workers.isBlocked(address(1))).toBe(true);
    expect(await store.workers.allow(address(1))).toBe(true);
    expect(await store.workers.isBlocked(address(1))).toBe(false);
    expect(await store.workers.addStrike(address(1), 'NaN')).toBe(1);
  });

  test('workers: accepted leases counted, the last speed kept until forgotten', async () => {
    await store.workers.addAccepted(address(1), 12.5);
    await Promise.all([1, 2].map(() => store.workers.addAccepted(address(1), undefined)));
    expect(await store.workers.findRecord(address(1))).toEqual({ accepted: 3, isAudited: false, gflops: 12.5 });
    await store.workers.forgetSpeed(address(1));
    expect(await store.workers.findRecord(address(1))).toMatchObject({ accepted: 3, gflops: undefined });
  });

  test('intents: begun once, every attempt kept, a failed one starts over', async () => {
    const intent = { account: address(1), key: 'job:submit', to: address(2), data: '0x12', valueWei: 3n };
    const attempt = (hash: string) => ({ hash, raw: '0xraw', maxFeePerGas: '1', maxPriorityFeePerGas: '1', atMs: 1 });
    const begun = await store.intents.begin(intent);
    expect(begun).toMatchObject({ ...intent, state: 'created', attempts: [] });
    await store.intents.saveAttempt(begun.id, 7, attempt('0xa'));
    await store.intents.saveAttempt(begun.id, 7, attempt('0xb'));
    expect(await store.intents.begin({ ...intent, data: '0xff' })).toMatchObject({
      state: 'signed',
      data: '0x12',
      nonce: 7,
    });
    expect((await store.intents.listPending(address(1)))[0]?.attempts.map(({ hash }) => hash)).toEqual(['0xa', '0xb']);
    await store.intents.markFailed(begun.id, 'reverted');
    expect(await store.intents.begin({ ...intent, data: '0xff' })).toMatchObject({
      state: 'created',
      data: '0xff',
      attempts: [],
    });
    await store.intents.markMined(begun.id, '0xc');
    expect(await store.intents.begin(intent)).toMatchObject({ state: 'mined', minedHash: '0xc' });
    expect(await store.intents.listPending(address(1))).toEqual([]);
  });

  test('dropTables: the next opening finds an empty store', async () => {
    await requestJob(store, newJob(1));
    await store[Symbol.asyncDispose]();
    await dropTables(database.options);
    store = await database.open();
    expect(await store.jobs.list()).toEqual([]);
  });
});

type Step = { do: 'grant'; blocks: number } | { do: 'commit' | 'release'; pick: number } | { do: 'fold' };

/** A job's ledger beside the simplest model of it. */
class LedgerModel {
  readonly merged = new Set<number>();
  open: { leaseId: string; start: number; end: number; committed: boolean }[] = [];
  private round = 0;

  constructor(
    private readonly store: Store,
    private readonly id: JobId,
  ) {}

  async apply(step: Step, i: number): Promise<void> {
    if (step.do === 'grant') return this.grant(`${this.id.slice(-6)}-${i}`, step.blocks);
    if (step.do === 'fold') return this.fold();
    const lease = this.open[step.pick % Math.max(1, this.open.length)];
    if (!lease) return;
    if (step.do === 'release') {
      expect(await this.store.ledger.release(lease.leaseId, 'test')).toBe(true);
      this.open = this.open.filter((other) => other !== lease);
    } else {
      const outcome = await this.store.ledger.commit(lease.leaseId, address(1), work(i + 1));
      expect(outcome).toBe(lease.committed ? 'stale' : 'committed');
      lease.committed = true;
    }
  }

  private async grant(leaseId: string, blocks: number): Promise<void> {
    const lease = { leaseId, jobId: this.id, round: this.round, worker: address(1), blocks, expiresAtMs: 1 };
    const range = await this.store.ledger.grant(lease);
    if (range) this.open.push({ leaseId, ...range, committed: false });
  }

  private async fold(): Promise<void> {
    const { store, id: jobId, round } = this;
    for (const lease of this.open) if (!lease.committed) await store.ledger.release(lease.leaseId, 'closed');
    const ready = this.open.filter((lease) => lease.committed);
    const leases = ready.map(({ leaseId }) => merged(leaseId));
    const names = { nextTheta: sha(2), delta: sha(3), outer: sha(4) };
    await store.rounds.fold({ jobId, round, ...names, scale: 1, leases });
    for (const { start, end } of ready) for (let p = start; p < end; p++) this.merged.add(p);
    this.open = [];
    this.round += 1;
    await store.rounds.open(jobId, this.round, sha(2));
  }
}

/** Runs the steps against the store and its model, comparing after each. */
async function runSteps(store: Store, id: JobId, total: number, steps: readonly Step[]): Promise<void> {
  await store.ledger.initialise(id, total);
  await store.rounds.open(id, 0, sha(1));
  const model = new LedgerModel(store, id);
  for (const [i, step] of steps.entries()) {
    await model.apply(step, i);
    await expectPartition(store, id, total, model.merged, model.open);
  }
  const { merged } = model;
  const audit = await store.ledger.audit(id, Math.max(1, Math.ceil(total / 2)));
  const expected = { maxMerged: merged.size > 0 ? 1 : 0, minMerged: merged.size === total ? 1 : 0 };
  expect(audit).toMatchObject({ blocks: total, ...expected });
}

async function expectPartition(
  store: Store,
  id: JobId,
  total: number,
  merged: ReadonlySet<number>,
  open: readonly { start: number; end: number }[],
): Promise<void> {
  const ranges = await store.ledger.listRanges(id);
  let next = 0;
  for (const range of ranges) {
    expect(range.start).toBe(next);
    expect(range.end).toBeGreaterThan(range.start);
    next = range.end;
    if (range.state === 'MERGED') for (let p = range.start; p < range.end; p++) expect(merged.has(p)).toBe(true);
  }
  expect(next).toBe(total);
  const leased = open.reduce((sum, { start, end }) => sum + end - start, 0);
  expect(await store.ledger.merged(id)).toBe(merged.size);
  expect(await store.ledger.available(id)).toBe(total - merged.size - leased);
}
