/** Looking up the sizes of data sets: once each, a few at a time, retried later. */
import { watchSizes } from '../../../src/board/sizes';
import { Address, JobId } from '../../../src/domain/ids';
import { systemClock } from '../../../src/lib/clock';
import { silentLogger as logger } from '../../../src/lib/logger';
import type { IndexedEvent } from '../../../src/store/board';
import { openStore } from '../../../src/store/open';
import { autoClock } from '../../support/auto-clock';
import { openScratch } from '../../support/scratch';

/** Less than a test may take, so that a failure ends the loop as well as the test. */
const LIMIT_MS = 50_000;

const jobId = (n: number) => JobId.parse(`0x${n.toString(16).padStart(32, '0')}`);
const requester = Address.parse(`0x${'11'.repeat(20)}`);

function request(n: number, dataset: string): IndexedEvent {
  const terms = { requester, dataset, params: '{}', feeWei: 1n, fuelLimit: 1n, deadlineMs: 1 };
  const place = { blockNumber: n, blockHash: `0x${n.toString(16)}`, logIndex: 0, txHash: `0x${n}` };
  return { ...place, jobId: jobId(n), type: 'JobRequested', state: 'REQUESTED', request: terms, facts: {} };
}

/** A store with a job for each data set, the last one newest. */
async function openJobs(datasets: readonly string[]) {
  const scratch = await openScratch();
  const store = await openStore({ kind: 'sqlite', path: scratch.file('board.sqlite') });
  await store.board.takeFinal(
    datasets.map((dataset, i) => request(i + 1, dataset)),
    datasets.length,
  );
  const stop = new AbortController();
  return {
    store,
    stop,
    bytesOf: async (n: number) => (await store.board.find(jobId(n)))?.datasetBytes,
    async until(check: () => boolean | Promise<boolean>): Promise<void> {
      for (const end = Date.now() + LIMIT_MS; !(await check()); await systemClock.sleep(5)) {
        if (Date.now() > end) throw new Error('The condition never held');
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await store[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

test('data set of several jobs: looked up once', async () => {
  await using jobs = await openJobs(['sha256:a', 'sha256:b', 'sha256:a', 'sha256:a']);
  const asked: string[] = [];
  const sizeOf = async (reference: string) => {
    asked.push(reference);
    return reference === 'sha256:a' ? 7 : 8;
  };
  const looking = watchSizes({ store: jobs.store, sizeOf, clock: systemClock, logger }, jobs.stop.signal);
  await jobs.until(async () => (await jobs.bytesOf(2)) === 8);
  await jobs.until(async () => (await jobs.bytesOf(1)) === 7);
  jobs.stop.abort();
  await looking;
  expect(asked.sort()).toEqual(['sha256:a', 'sha256:b']);
  expect([await jobs.bytesOf(3), await jobs.bytesOf(4)]).toEqual([7, 7]);
});

test('many failing lookups: the oldest job is reached, at most four at once', async () => {
  const dead = Array.from({ length: 120 }, (_, i) => `https://dead.example/${i}`);
  await using jobs = await openJobs(['sha256:a', ...dead]);
  const asked = new Map<string, number>();
  let [underWay, most] = [0, 0];
  const sizeOf = async (reference: string) => {
    asked.set(reference, (asked.get(reference) ?? 0) + 1);
    underWay += 1;
    most = Math.max(most, underWay);
    await systemClock.sleep(1);
    underWay -= 1;
    if (reference === 'sha256:a') return 7;
    if (reference.endsWith('0')) return 0;
    throw new Error('nobody answers');
  };
  const looking = watchSizes({ store: jobs.store, sizeOf, clock: systemClock, logger }, jobs.stop.signal);
  await jobs.until(async () => (await jobs.bytesOf(1)) === 7);
  jobs.stop.abort();
  await looking;
  expect(most).toBe(4);
  expect([...asked.values()].every((times) => times === 1)).toBe(true);
  expect(asked.size).toBe(121);
});

test('failed lookup: repeated after ten minutes, not before', async () => {
  await using jobs = await openJobs(['https://slow.example/']);
  const clock = autoClock();
  const askedAtMs: number[] = [];
  const sizeOf = async () => {
    askedAtMs.push(clock.now());
    if (askedAtMs.length < 3) throw new Error('not yet');
    return 5;
  };
  const looking = watchSizes({ store: jobs.store, sizeOf, clock, logger }, jobs.stop.signal);
  await jobs.until(async () => (await jobs.bytesOf(1)) === 5);
  jobs.stop.abort();
  await looking;
  const [first = 0, second = 0, third = 0] = askedAtMs;
  for (const pause of [second - first, third - second]) {
    expect(pause).toBeGreaterThan(600_000);
    expect(pause).toBeLessThanOrEqual(620_000);
  }
});

test('stopped: a server that never answers is not waited for', async () => {
  await using jobs = await openJobs(['https://mute.example/']);
  let isAsked = false;
  const sizeOf = () => {
    isAsked = true;
    return new Promise<number>(() => undefined);
  };
  const looking = watchSizes({ store: jobs.store, sizeOf, clock: systemClock, logger }, jobs.stop.signal);
  await jobs.until(() => isAsked);
  jobs.stop.abort();
  await expect(looking).resolves.toBeUndefined();
});
