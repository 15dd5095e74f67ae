/** A job in training for unit tests: real store, files and fleet; the test plays workers, Python and time. */

import { BlobStore } from '../../src/blobs/blob-store';
import { Address, type JobId } from '../../src/domain/ids';
import type { Assignment } from '../../src/fleet/assignment';
import { Fleet } from '../../src/fleet/fleet';
import type { Logger } from '../../src/lib/logger';
import { Mailbox } from '../../src/lib/mailbox';
import { EvidenceBook } from '../../src/master/evidence';
import { type JobContext, openJobContext } from '../../src/master/job-context';
import { type JobEvent, passEvents } from '../../src/master/job-events';
import { OwnChild } from '../../src/master/own-child';
import type { JobPlan } from '../../src/master/plan';
import type { JobWallet } from '../../src/master/ports';
import { handleEvent } from '../../src/master/round-events';
import type { RoundState } from '../../src/master/round-state';
import { prepareJob } from '../../src/master/steps/prepare';
import type { JobRunOptions } from '../../src/master/steps/step';
import { openStore, type Store } from '../../src/store/open';
import { PlayedChild } from './master-rig-child';
import { type MasterDoor, PlayedWorker } from './master-rig-worker';
import { noBases } from './no-bases';
import { PlayedDisk } from './played-disk';
import { fastDir, openScratch } from './scratch';
import { SteppedClock, settled } from './stepped-clock';
import { tinyParams } from './tiny-job';
import { jobId } from './worker-messages';

export interface TestJobOptions {
  /** Blocks of the job; default 16. An average worker gets 4 of them in a round. */
  blocks?: number | undefined;
  /** The speed that each worker announces in GFLOP/s; default one of 50. */
  workers?: readonly number[] | undefined;
  /** From now to the deadline; default an hour. */
  deadlineMs?: number | undefined;
  /** Meets a command to the Python child in its place. */
  met?: ((command: string, answer: () => unknown) => unknown) | undefined;
}

export interface TestJob extends AsyncDisposable {
  job: JobContext;
  fleet: Fleet;
  store: Store;
  blobs: BlobStore;
  clock: SteppedClock;
  workers: PlayedWorker[];
  assignment: Assignment;
  door: MasterDoor;
  /** Messages of what the job logged, oldest first. */
  log: string[];
  /** The same job as a master finds it that was started anew on the same store. */
  reopen(): Promise<JobContext>;
  /** Connects a worker and assigns it to the job. */
  connect(worker: PlayedWorker): void;
  /** Connects all workers and lets them get ready. */
  gather(): Promise<void>;
  /** Handles events as they come, for the round given, and lets time pass until something is so. */
  until(check: () => boolean, round?: RoundState): Promise<void>;
}

export const FEE_WEI = 10n ** 19n;
export const FUEL_LIMIT = 2000n;
export const node = Address.parse(`0x${'ad'.repeat(20)}`);
export const testWallet: JobWallet = { address: node, signTyped: async () => `0x${'12'.repeat(65)}` };

/** What a master's jobs are run by. */
export function jobOptions(dataDir: string): JobRunOptions {
  return {
    dataDir,
    device: 'cpu',
    threads: 1,
    batchSize: 4,
    epochs: 1,
    maxDatasetBytes: 1 << 20,
    commissionBps: 1000,
    minFeeWei: 0n,
    cooperative: 'nvm',
    settings: { leaseMs: 60_000, graceMs: 15_000, resumeMs: 30_000 },
  };
}
const settings = { leaseMs: 60_000, graceMs: 15_000, resumeMs: 30_000 };
/** No test lets more steps of the clock go by. */
const MAX_STEPS = 10_000;

/** A logger that keeps the messages of its lines. */
export function listLogger(lines: string[]): Logger {
  const keep = (message: string) => void lines.push(message);
  const logger: Logger = { error: keep, warn: keep, info: keep, debug: keep, child: () => logger };
  return logger;
}

export async function openTestJob(options: TestJobOptions = {}): Promise<TestJob> {
  const scratch = await openScratch(fastDir());
  const clock = new SteppedClock();
  const store = await openStore({ kind: 'sqlite', path: ':memory:' }, clock);
  const blobs = new BlobStore(scratch.file('blobs'));
  const log: string[] = [];
  const logger = listLogger(log);
  const fleet = new Fleet({ logger });
  const id: JobId = jobId('7');
  const stop = new AbortController();
  const { signal } = stop;
  const dir = scratch.file('job');
  const spec = { kind: 'coordinate', device: 'cpu', threads: 1, workDir: dir, jobId: id, params: tinyParams } as const;
  const child = new PlayedChild(spec, options.blocks ?? 16, (command, answer) =>
    options.met ? options.met(command, answer) : answer(),
  );
  const { facts } = await prepareJob({
    row: {
      ...{ id, requester: testWallet.address, dataset: 'sha256:data', params: JSON.stringify(tinyParams) },
      ...{ feeWei: FEE_WEI, fuelLimit: FUEL_LIMIT, deadlineMs: 3_600_000 },
    },
    options: { batchSize: 4, epochs: 1, maxDatasetBytes: 1 << 20, minFeeWei: 0n, cooperative: 'nvm' },
    dir,
    signal,
    openCoordinator: () => ({ run: child.run, adopt: async () => undefined }),
    deps: {
      blobs,
      fleet,
      store,
      wallet: testWallet,
      disk: new PlayedDisk(),
      storage: { fetch: () => blobs.addBytes(Buffer.from('Call me Ishmael. ')), ...noBases },
    },
  });
  const mailbox = new Mailbox<JobEvent>(clock);
  const terms = { id, feeWei: FEE_WEI, fuelLimit: FUEL_LIMIT, commissionBps: 1000, plan: facts?.plan };
  const deadlineMs = clock.now() + (options.deadlineMs ?? 3_600_000);
  const evidence = new EvidenceBook({ dataDir: scratch.path, evidenceBytes: 2 ** 30 }, { store, blobs, logger });
  const deps = { store, blobs, fleet, wallet: testWallet, evidence, clock, logger };
  const openOwnChild = (_id: JobId, { prepared, totalBlocks }: JobPlan) => {
    const { jobId: name, params, ...machine } = spec;
    const job = { jobId: name, params, vocabSize: prepared.vocabSize, totalBlocks };
    return new OwnChild(
      { ...machine, kind: 'train', ...job, microBatch: 4 },
      {
        openChild: async (train) => new PlayedChild(train, options.blocks ?? 16, (_command, answer) => answer()),
      },
    );
  };
  const reopen = () => {
    const children = { openCoordinator: () => child, openOwnChild };
    const given = {
      dir,
      settings,
      mailbox,
      dismissed: new Map<Address, string>(),
      ...children,
      goOn: () => undefined,
      signal,
      deps,
    };
    return openJobContext({ ...terms, deadlineMs }, given);
  };
  const door: MasterDoor = { fleet, receive: async (bytes) => void (await blobs.addBytes(bytes)), isOver: false };
  const test = {
    job: await reopen(),
    workers: (options.workers ?? [50]).map((gflops, i) => new PlayedWorker(i + 1, gflops, clock)),
    assignment: { kind: 'job', jobId: id, events: passEvents((event) => mailbox.push(event), clock) } as const,
  };
  const connect = (worker: PlayedWorker) => {
    worker.connect(door);
    fleet.assign(worker.address, test.assignment);
  };
  const until: TestJob['until'] = (check, round) => runUntil(test.job, clock, check, round);
  return {
    ...test,
    ...{ fleet, store, blobs, clock, door, log, reopen, connect, until },
    async gather() {
      for (const worker of test.workers) connect(worker);
      const isReady = ({ address }: PlayedWorker) => test.job.members.get(address) === 'ready';
      await until(() => test.workers.every(isReady));
    },
    async [Symbol.asyncDispose]() {
      door.isOver = true;
      stop.abort(new Error('The test is over.'));
      await settled();
      await store[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** As if the workers had done three leases, at these speeds in blocks per second. */
export function setMeasured(job: JobContext, workers: readonly PlayedWorker[], ...speeds: number[]): void {
  for (const [i, blocksPerSecond] of speeds.entries()) {
    const standing = { blocksPerSecond, isMeasuredHere: true, accepted: 3, isAudited: true, limit: 1e9, outcomes: [] };
    job.standings.set(workers[i]!.address, standing);
  }
}

async function runUntil(job: JobContext, clock: SteppedClock, check: () => boolean, round?: RoundState): Promise<void> {
  const over = new AbortController();
  const signal = AbortSignal.any([job.signal, over.signal]);
  const handling = (async () => {
    while (!signal.aborted) {
      const event = await job.mailbox.next(1e9, signal);
      if (event) await handleEvent(job, round, event);
    }
  })().catch((error) => {
    if (!signal.aborted) throw error;
  });
  try {
    await Promise.race([handling, letPass(clock, check)]);
  } finally {
    over.abort(new Error('The wait is over.'));
    await handling;
  }
}

/** Lets time pass until something is so. */
export async function letPass(clock: SteppedClock, check: () => boolean): Promise<void> {
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    await settled();
    if (check()) return;
    if (!clock.step()) break;
  }
  throw new Error('What the test waits for does not happen.');
}
