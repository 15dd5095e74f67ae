/** A scheduler with real SQLite and fleet on a stepped clock; the test gives it jobs and workers. */

import { BlobStore } from '../../src/blobs/blob-store';
import { Address } from '../../src/domain/ids';
import { Fleet } from '../../src/fleet/fleet';
import { AppError } from '../../src/lib/errors';
import type { MasterChain, MasterStorage } from '../../src/master/ports';
import { Scheduler, type SchedulerOptions } from '../../src/master/scheduler';
import { openStore } from '../../src/store/open';
import { PlayedChild } from './master-rig-child';
import { PlayedWorker } from './master-rig-worker';
import { noBases } from './no-bases';
import { PlayedDisk } from './played-disk';
import { requestJob } from './request-job';
import { fastDir, openScratch } from './scratch';
import { SteppedClock } from './stepped-clock';
import { jobOptions, letPass, listLogger, testWallet } from './test-job';
import { tinyParams } from './tiny-job';
import { blobName, jobId } from './worker-messages';

export const EMT = 10n ** 18n;
export const stranger = Address.parse(`0x${'5e'.repeat(20)}`);
/** How long a server is waited for that tells no size. */
const STALL_MS = 10_000;
const notCalled = () => Promise.reject(new AppError({ code: 'test/not-called' }, 'The test does not call this.'));

export const result = { manifest: blobName('a'), fuelUsed: 1n, payoutRoot: '0x', shares: [], blobs: [] };
/** The way of a claimed job to its submission. */
export const submitted = [
  ['claimed', 'preparing'],
  ['preparing', 'training'],
  ['training', 'exporting'],
  ['exporting', 'submitting'],
  ['submitting', 'submitted'],
] as const;

/** The same object, each call of which throws what `faults` returns first. */
function failing<T extends object>(target: T, faults: () => Error[]): T {
  return new Proxy(target, {
    get(object, key) {
      const member: unknown = Reflect.get(object, key);
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]) => {
        for (const fault of faults()) throw fault;
        return Reflect.apply(member, object, args);
      };
    },
  });
}

export interface Offer {
  id: string;
  feeWei?: bigint;
  params?: string;
  dataset?: string;
  fuelLimit?: bigint;
  deadlineMs?: number;
}

interface Given extends Partial<SchedulerOptions> {
  /** Speed of each worker; default one of 50 GFLOP/s. */
  workers?: readonly number[];
  /** Data sets never arrive. */
  isStuck?: boolean;
  /** What is said of every base. */
  base?: Awaited<ReturnType<MasterStorage['sizeBase']>>;
}

/**
 * A master with the jobs and workers that the test gives it. Jobs are taken at once, and trained by silent
 * workers.
 */
export async function openScheduler({ workers: speeds = [50], isStuck = false, base, ...options }: Given = {}) {
  const clock = new SteppedClock();
  const scratch = await openScratch(fastDir());
  const store = await openStore({ kind: 'sqlite', path: ':memory:' }, clock);
  const blobs = new BlobStore(scratch.file('blobs'));
  const log: string[] = [];
  const logger = listLogger(log);
  const fleet = new Fleet({ logger });
  let stop = new AbortController();
  const onChain = new Map<string, Partial<Awaited<ReturnType<MasterChain['job']>>>>();
  const disk = new PlayedDisk();
  const chain: MasterChain = {
    chainId: 31337,
    contract: stranger,
    job: async (id) => ({ state: 'REQUESTED', deadlineMs: 0, ...onChain.get(id) }),
    minWorkMs: async () => 60_000,
    process: async () => undefined,
    decline: notCalled,
    submit: notCalled,
    finalize: notCalled,
    unwind: notCalled,
    payWorkers: notCalled,
    payoutRoot: () => '0x',
  };
  const sizes = new Map<string, number>();
  const stalls = new Set<string>();
  const storage = {
    async size(reference: string) {
      if (stalls.has(reference)) {
        await clock.sleep(STALL_MS);
        throw new AppError({ code: 'dataset/missing' }, `The server of ${reference} does not answer.`);
      }
      const bytes = sizes.get(reference) ?? 1000;
      if (bytes < 0) throw new AppError({ code: 'dataset/not-found' }, `There is no data set ${reference}.`);
      return bytes;
    },
    fetch: (_job: object, signal: AbortSignal) =>
      isStuck
        ? new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        : blobs.addBytes(Buffer.from('Call me Ishmael. ')),
    publish: notCalled,
    ...noBases,
    ...(base ? { sizeBase: async () => base } : {}),
  };
  const rules: SchedulerOptions = {
    ...jobOptions(scratch.path),
    evidenceBytes: 2 ** 30,
    minFeeWei: EMT,
    maxFeeWei: 100n * EMT,
    cooperative: 'nvm',
    maxJobs: 1,
    memoryBytes: 2 ** 40,
    ...options,
  };
  const openChild = async (spec: ConstructorParameters<typeof PlayedChild>[0]) =>
    new PlayedChild(spec, 16, (_command, answer) => answer());
  const breaks = { isAway: false };
  const away = () => (breaks.isAway ? [new AppError({ code: 'ECONNREFUSED' }, 'The database is away.')] : []);
  const deps = {
    store: { ...store, jobs: failing(store.jobs, away) },
    blobs,
    fleet,
    wallet: testWallet,
    chain,
    storage,
    disk,
    openChild,
    clock,
    logger,
    signal: stop.signal,
  };
  let scheduler = new Scheduler(rules, deps);
  fleet.addUser({ onIdle: () => scheduler.onIdle(), findAssignment: (held) => scheduler.findAssignment(held) });
  const workers = speeds.map((gflops, i) => new PlayedWorker(i + 1, gflops, clock));
  const door = { fleet, receive: notCalled, isOver: false };
  for (const worker of workers) {
    worker.fates.push(...Array.from({ length: 9 }, () => 'is silent' as const));
    worker.connect(door);
  }
  let running: Promise<void> | undefined;
  const end = async () => {
    stop.abort(new Error('The test is over.'));
    let isOver = running === undefined;
    void running?.then(() => {
      isOver = true;
    });
    await letPass(clock, () => isOver);
  };
  let states = new Map<string, string>();
  const look = async () => {
    states = new Map((await store.jobs.list({})).map(({ id, state }) => [id, state]));
  };
  return {
    disk,
    ...{ clock, store, fleet, workers, door, sizes, stalls, log, onChain, breaks },
    get scheduler() {
      return scheduler;
    },
    /** Begins anew, as another process with other settings would. */
    async restart(changes: Partial<SchedulerOptions> = {}) {
      await end();
      stop = new AbortController();
      scheduler = new Scheduler({ ...rules, ...changes }, { ...deps, signal: stop.signal });
      running = scheduler.run();
    },
    request: ({ id, params = JSON.stringify(tinyParams), deadlineMs = 3_600_000, ...offer }: Offer) =>
      requestJob(store, {
        ...{ dataset: `sha256:${id}`, feeWei: 10n * EMT, fuelLimit: 1000n, ...offer },
        ...{ id: jobId(id), requester: stranger, requestedBlock: 1, params },
        deadlineMs: clock.now() + deadlineMs,
      }),
    start() {
      running = scheduler.run();
    },
    /** Lets so much time pass. */
    async pass(ms: number) {
      let isOver = false;
      void clock.sleep(ms).then(() => {
        isOver = true;
      });
      await letPass(clock, () => isOver);
      await look();
    },
    stateOf: (id: string) => states.get(jobId(id)),
    reasonOf: async (id: string) => (await store.jobs.find(jobId(id)))?.reason,
    jobOf: (worker: PlayedWorker) => fleet.view().find(({ address }) => address === worker.address)?.jobId,
    async [Symbol.asyncDispose]() {
      await end();
      await store[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}
