/** A real master with real SQLite and files on a stepped clock; the test plays chain, workers and Python. */

import { applyEvents } from '../../src/app/chain-follower';
import { BlobStore } from '../../src/blobs/blob-store';
import type { CoreEvent } from '../../src/chain/contract/events';
import { openWallet, type Wallet } from '../../src/chain/sending/wallet';
import type { JobId } from '../../src/domain/ids';
import { activeStates, type JobState } from '../../src/domain/job';
import { Fleet } from '../../src/fleet/fleet';
import { AppError } from '../../src/lib/errors';
import { type Master, openMaster } from '../../src/master/master';
import type { SchedulerOptions } from '../../src/master/scheduler';
import type { TrainerSpec } from '../../src/protocol/trainer';
import { openStore, type Store } from '../../src/store/open';
import { PlayedChain } from './master-rig-chain';
import { childCrash, PlayedChild } from './master-rig-child';
import { type Fault, Faults, Lifetime } from './master-rig-faults';
import { clockOf, guardStore, keepLines, playedStorage } from './master-rig-ports';
import { type MasterDoor, PlayedWorker } from './master-rig-worker';
import { PlayedDisk } from './played-disk';
import { fastDir, openScratch } from './scratch';
import { SteppedClock, settled } from './stepped-clock';
import { jobOptions } from './test-job';
import { tinyParams } from './tiny-job';
import { jobId } from './worker-messages';

export interface RigOptions {
  /** Workers that connect when the master opens; default 1. */
  workers?: number | undefined;
  /** Blocks of the job: one worker trains 8 of them in a round. Default 16. */
  blocks?: number | undefined;
  /** The job's parameters as its requester wrote them. */
  params?: string | undefined;
  /** From the request to the deadline; default an hour. */
  deadlineMs?: number | undefined;
  master?: Partial<SchedulerOptions> | undefined;
}

/** One process of the master: from its start until it is stopped or killed. */
interface Process {
  life: Lifetime;
  master: Master;
  store: Store;
  door: MasterDoor;
  stop: AbortController;
  running: Promise<unknown>;
}

const FEE_WEI = 10n ** 19n;
const FUEL_LIMIT = 2000n;
const DEADLINE_MS = 3_600_000;
/** No wait takes longer, on the stepped clock. */
const LIMIT_MS = 1_200_000;
const POLL_MS = 1000;
const params = JSON.stringify({ ...tinyParams, round: { steps: 8 } });

let wallet: Promise<Wallet> | undefined;

export async function openMasterRig(options: RigOptions = {}): Promise<MasterRig> {
  wallet ??= openWallet({ privateKey: '11'.repeat(32) }, 31337);
  const scratch = await openScratch(fastDir());
  const clock = new SteppedClock();
  const store = await openStore({ kind: 'sqlite', path: scratch.file('master.sqlite') }, clock);
  const rig = new MasterRig(options, { wallet: await wallet, scratch, clock, store });
  await rig.start();
  return rig;
}

export class MasterRig implements AsyncDisposable {
  readonly jobId: JobId = jobId('7');
  readonly faults = new Faults();
  readonly chain: PlayedChain;
  readonly workers: PlayedWorker[];
  /** Python children that coordinate, in the order they were started. */
  readonly children: PlayedChild[] = [];
  /** Python children that do leases again. */
  readonly ownChildren: PlayedChild[] = [];
  /** Names of the blobs that requesters can fetch. */
  readonly published: string[] = [];
  /** What the master logged as an error. */
  readonly errors: string[] = [];
  /** Warnings and what else may help to understand a failure. */
  readonly log: string[] = [];
  /** How often the master was started. */
  starts = 0;
  /** Where the master's processes run; another name is another data directory with the same files. */
  machine = 'first';
  /** True while the master hears nothing of the chain's events. */
  isDeaf = false;
  private isRequested = false;
  private process: Process | undefined;
  private stopping: Promise<void> | undefined;

  constructor(
    private readonly options: RigOptions,
    private readonly opened: {
      wallet: Wallet;
      scratch: Awaited<ReturnType<typeof openScratch>>;
      clock: SteppedClock;
      /** The test's own connection to the master's database. */
      store: Store;
    },
  ) {
    const { clock } = opened;
    this.chain = new PlayedChain(opened.wallet.address, clock);
    this.workers = Array.from({ length: options.workers ?? 1 }, (_, i) => new PlayedWorker(i + 1, 50, clock));
  }

  get clock(): SteppedClock {
    return this.opened.clock;
  }
  get store(): Store {
    return this.opened.store;
  }
  get node() {
    return this.opened.wallet.address;
  }
  get worker(): PlayedWorker {
    return this.workers[0]!;
  }
  get dataDir(): string {
    return this.opened.scratch.path;
  }
  get blobs(): BlobStore {
    return new BlobStore(this.opened.scratch.file('blobs'));
  }
  get master(): Master {
    return this.now.master;
  }
  /** What workers dial. */
  get door(): MasterDoor {
    return this.now.door;
  }

  /** Starts a process of the master on what the last one left. Its workers dial in a second later. */
  async start(): Promise<void> {
    this.starts += 1;
    const life = new Lifetime(this.faults);
    const stop = new AbortController();
    const { signal } = stop;
    const place = { kind: 'sqlite', path: this.opened.scratch.file('master.sqlite') } as const;
    const store = await openStore(place, this.clock, `${this.machine}.${this.starts}`);
    const blobs = life.guard('blobs', this.blobs);
    const logger = keepLines(life, this.log, this.errors);
    const fleet = new Fleet({ logger });
    const master = openMaster(this.rules(), {
      fleet,
      store: guardStore(store, life),
      blobs,
      wallet: this.opened.wallet,
      clock: life.guard('clock', clockOf(this.clock, life)),
      logger,
      signal,
      chain: life.guard('chain', this.chain),
      disk: new PlayedDisk(),
      storage: life.guard('storage', playedStorage(blobs, this.published)),
      record: (tx, events) => applyEvents(tx, events),
      openChild: life.guard('python', { open: (spec: TrainerSpec) => this.openChild(spec, life) }).open,
    });
    const door: MasterDoor = {
      fleet,
      receive: async (bytes) => void (await this.blobs.addBytes(bytes)),
      get isOver() {
        return life.isOver || signal.aborted;
      },
    };
    const running = Promise.allSettled([this.watch(master, life, signal), master.run()]);
    this.process = { life, master, store, door, stop, running };
    void this.connectWorkers(door);
  }

  /** Ends the master's process without any warning to it. */
  kill(): void {
    const { life, store } = this.now;
    if (life.isOver) return;
    life.kill();
    void store[Symbol.asyncDispose]();
    for (const worker of this.workers) worker.cut('the master was killed');
  }

  /** Ends the master's process as Ctrl-C does. */
  async stop(): Promise<void> {
    const { stop, running, store, life } = this.now;
    let isOver = false;
    void running.then(() => {
      isOver = true;
    });
    stop.abort(new Error('The master stops.'));
    for (const worker of this.workers) worker.cut('the master stops');
    while (!isOver) {
      await settled();
      if (!isOver && !this.clock.step()) throw new Error(`The master does not stop. ${await this.describe()}`);
    }
    life.kill();
    await store[Symbol.asyncDispose]();
  }

  /** Puts the job on the chain, once. */
  request(): void {
    if (this.isRequested) return;
    this.isRequested = true;
    const deadlineMs = this.clock.now() + (this.options.deadlineMs ?? DEADLINE_MS);
    const text = this.options.params ?? params;
    this.chain.request(this.jobId, { deadlineMs, feeWei: FEE_WEI, fuelLimit: FUEL_LIMIT }, text);
  }

  /** Lets time pass until something is so. A master that was killed meanwhile is started again. */
  async until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = this.clock.now() + LIMIT_MS;
    for (;;) {
      await settled();
      await this.stopping;
      this.stopping = undefined;
      if (this.now.life.isOver) await this.start();
      else if (await check()) return;
      else if (this.clock.now() > endMs || !this.clock.step()) {
        throw new Error(`It never came true that ${what}. ${await this.describe()}`);
      }
    }
  }

  /** Lets so much time pass. */
  async pass(ms: number): Promise<void> {
    let isOver = false;
    void this.clock.sleep(ms).then(() => {
      isOver = true;
    });
    await this.until(`${ms} ms have passed`, () => isOver);
  }

  async untilState(...states: JobState[]): Promise<void> {
    await this.until(`the job is ${states.join(' or ')}`, async () => states.includes(await this.state()));
  }

  /** Requests the job and goes on until the master has no more to do for it. */
  async finish(): Promise<void> {
    this.request();
    const busy: readonly JobState[] = [...activeStates, 'queued'];
    await this.until('the job is over', async () => {
      const job = await this.store.jobs.find(this.jobId);
      return job !== undefined && !busy.includes(job.state) && job.lookAtMs === undefined;
    });
    await settled();
  }

  /** Fails the next `times` calls of a port, the first `after` excepted, before they do anything. */
  fails(call: string, plan: { code?: string; times?: number; after?: number } = {}): void {
    const error = () => new AppError({ code: plan.code ?? 'test/fault' }, `${call} failed as the test wished.`);
    this.faults.plan(call, () => Promise.reject(error()), plan);
  }

  /** Loses the answer of a call: what it does is done, but the master sees an error. */
  losesAnswer(call: string): void {
    this.faults.plan(call, async (proceed) => {
      await proceed();
      throw new AppError({ code: 'test/fault' }, `The answer of ${call} was lost as the test wished.`);
    });
  }

  /** The Python child dies of the next `times` commands of a kind, the first `after` excepted. */
  childDies(command: string, plan: { times?: number; after?: number } = {}): void {
    const fault: Fault = async () => {
      await this.children.at(-1)?.[Symbol.asyncDispose]();
      throw childCrash();
    };
    this.faults.plan(`child.${command}`, fault, plan);
  }

  /** Whatever is trained, the model is as bad as the first weights. */
  learnsNothing(): void {
    const fault: Fault = async (proceed) => ({ ...((await proceed()) as object), loss: 5 });
    this.faults.plan('child.evaluate', fault, { times: 1000 });
  }

  /** Kills the master just before it does something, or just after. */
  killsAt(moment: 'before' | 'after', call: string, after = 0): void {
    const fault: Fault = async (proceed) => {
      if (moment === 'after') await proceed();
      this.kill();
    };
    this.faults.plan(call, fault, { after });
  }

  /** Stops the master as Ctrl-C does, just before it does something; it is started again. */
  stopsAt(call: string, after = 0): void {
    const fault: Fault = (proceed) => {
      this.stopping = this.stop();
      return proceed();
    };
    this.faults.plan(call, fault, { after });
  }

  /** Kills the master at every so many calls of any port. */
  killsEvery(calls: number): void {
    this.faults.onCall = (count) => {
      if (count % calls === 0) this.kill();
    };
  }

  /** Has some ports away for a time, from just before a call on. */
  goesAway(ports: readonly string[], ms: number, call: string): void {
    this.before(call, () => {
      this.faults.away = ports;
      this.isDeaf ||= ports.includes('chain.');
      void this.clock.sleep(ms).then(() => {
        this.faults.away = [];
        this.isDeaf = false;
      });
    });
  }

  /** Does something else just before a call goes on. */
  before(call: string, act: () => void, after = 0): void {
    const fault: Fault = (proceed) => {
      act();
      return proceed();
    };
    this.faults.plan(call, fault, { after });
  }

  /** What the test needs to see when an expectation fails. */
  async describe(): Promise<string> {
    const history = await this.store.jobs.history(this.jobId);
    const lines = history.map(({ state, reason }) => (reason ? `${state} (${reason})` : state));
    return [`History: ${lines.join(', ')}.`, `Mined: ${this.chain.mined.join(', ')}.`, ...this.log.slice(-20)].join(
      '\n',
    );
  }

  async state(): Promise<JobState> {
    return (await this.store.jobs.find(this.jobId))?.state ?? 'queued';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.now.life.isOver) await this.stop();
    await settled();
    await this.store[Symbol.asyncDispose]();
    await this.opened.scratch[Symbol.asyncDispose]();
  }

  private get now(): Process {
    if (!this.process) throw new Error('The master was not started');
    return this.process;
  }

  private async openChild(spec: TrainerSpec, life: Lifetime): Promise<PlayedChild> {
    const child = new PlayedChild(spec, this.options.blocks ?? 16, (command, answer) =>
      life.call(`child.${command}`, answer),
    );
    life.signal.addEventListener('abort', () => void child[Symbol.asyncDispose]());
    (spec.kind === 'train' ? this.ownChildren : this.children).push(child);
    return child;
  }

  private rules(): SchedulerOptions {
    return {
      ...jobOptions(this.dataDir),
      evidenceBytes: 2 ** 30,
      minFeeWei: 1n,
      maxFeeWei: 10n ** 30n,
      cooperative: 'nvm',
      maxJobs: 1,
      memoryBytes: 2 ** 40,
      ...this.options.master,
    };
  }

  /** Hands over what becomes final, block by block, as the chain's watcher does. */
  private async watch(master: Master, life: Lifetime, signal: AbortSignal): Promise<void> {
    const clock = clockOf(this.clock, life);
    let at = (await master.loadCursors()).final?.number ?? 0;
    while (!signal.aborted && !life.isOver) {
      const events = this.isDeaf ? [] : this.chain.eventsAfter(at);
      const [event] = events;
      const isTaken = event && (await this.hand(master, events, event));
      if (isTaken) at = event.blockNumber;
      else await clock.sleep(POLL_MS, signal).catch(() => undefined);
    }
  }

  /** False when the master could not store them; the watcher of a real chain then brings them again. */
  private hand(master: Master, events: readonly CoreEvent[], last: CoreEvent): Promise<boolean> {
    const cursor = { number: last.blockNumber, hash: last.blockHash };
    return master.applyEvents(events, cursor).then(
      () => true,
      () => false,
    );
  }

  private async connectWorkers(door: MasterDoor): Promise<void> {
    await this.clock.sleep(POLL_MS);
    if (door.isOver) return;
    for (const worker of this.workers) if (!worker.isConnected && !worker.isGone) worker.connect(door);
  }
}
