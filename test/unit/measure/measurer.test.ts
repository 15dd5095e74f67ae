/** Probes on a stepped clock: which workers are measured, what liars get, and who has the right of way. */
import { BlobStore } from '../../../src/blobs/blob-store';
import { Address, JobId, type Sha256 } from '../../../src/domain/ids';
import { PROBE_BATCH, probeModels, stepGflop } from '../../../src/domain/probe';
import type { Assignment } from '../../../src/fleet/assignment';
import { Fleet } from '../../../src/fleet/fleet';
import { AppError } from '../../../src/lib/errors';
import { sha256 } from '../../../src/lib/hash';
import { silentLogger } from '../../../src/lib/logger';
import type { Peer } from '../../../src/link/gate';
import { Measurer } from '../../../src/measure/measurer';
import type { MeasureChild } from '../../../src/measure/ports';
import type { BlobRef } from '../../../src/protocol/blob-ref';
import type { MasterMessageIn, Offer, WorkerMessage } from '../../../src/protocol/link';
import { fastDir, openScratch } from '../../support/scratch';
import { SteppedClock, settled } from '../../support/stepped-clock';

type ProbeRun = Extract<MasterMessageIn, { type: 'probe.run' }>;
/** What a worker answers to the runs of a probe. */
type Conduct = 'honest' | 'silent' | 'noise' | 'instant noise' | 'wrong tokens' | 'huge update' | 'fails' | 'no update';

const worker = Address.parse(`0x${'1'.repeat(40)}`);
const SECOND = 1000;
/** True speed of the played worker, and the time that every run costs besides. */
const STEP_MS = 100;
const START_MS = 400;

const right = (seed: number, steps: number) => Buffer.from(`update of ${seed} after ${steps} steps`);

/** A worker at the other end of a peer; it trains in the time its conduct takes. */
class ProbedWorker {
  conduct: Conduct = 'honest';
  readonly heard: MasterMessageIn[] = [];
  peer: Peer | undefined;
  private readonly updates = new Map<string, Buffer>();

  constructor(
    private readonly announced: number,
    private readonly place: { fleet: Fleet; blobs: BlobStore; clock: SteppedClock },
  ) {}

  connect(): void {
    const devices = [{ name: 'test cpu', kind: 'cpu' as const, memoryBytes: 1 }];
    const offer: Offer = { version: '0', devices, powerCapacity: this.announced };
    const still = { bytes: 0, bytesPerSecond: undefined };
    const traffic = { sent: still, received: still };
    const fixed = { address: worker, offer, ip: '127.0.0.1', session: '', connectedAtMs: 0, traffic };
    const peer: Peer = {
      ...fixed,
      send: (message) => void this.onMessage(message),
      pull: (blob) => this.upload(blob),
      close: () => undefined,
    };
    this.peer = peer;
    this.place.fleet.onConnect(peer);
  }

  cut(): void {
    const { peer } = this;
    this.peer = undefined;
    if (peer) this.place.fleet.onClose(peer, 'cut');
  }

  get runs(): ProbeRun[] {
    return this.heard.filter((message): message is ProbeRun => message.type === 'probe.run');
  }

  private async onMessage(message: MasterMessageIn): Promise<void> {
    this.heard.push(message);
    if (message.type !== 'probe.run' || this.conduct === 'silent') return;
    const { clock, fleet } = this.place;
    if (this.conduct !== 'instant noise') await clock.sleep(START_MS + message.steps * STEP_MS);
    const { peer } = this;
    if (peer) fleet.onMessage(peer, this.answer(message));
  }

  private answer({ probeId, seed, steps }: ProbeRun): WorkerMessage {
    const { conduct } = this;
    if (conduct === 'fails') return { type: 'probe.failed', probeId, code: 'train/oom', reason: 'out of memory' };
    const update = conduct.endsWith('noise') ? Buffer.from(`noise ${seed}`) : right(seed, steps);
    const name = sha256(update) as Sha256;
    if (conduct !== 'no update') this.updates.set(name, update);
    const tokens = steps * PROBE_BATCH * probeModels.S.context;
    return {
      type: 'probe.done',
      probeId,
      update: { sha256: name, bytes: conduct === 'huge update' ? 1e12 : update.length },
      tokens: conduct === 'wrong tokens' ? tokens + 1 : tokens,
      seconds: 0,
      endTheta: sha256('end') as Sha256,
    };
  }

  private async upload({ sha256: name }: BlobRef): Promise<void> {
    const bytes = this.updates.get(name);
    if (!bytes) throw new AppError({ code: 'link/unavailable' }, 'The worker has no such blob.');
    await this.place.blobs.addBytes(bytes);
  }
}

/** A child that trains as an honest worker does. */
function openPlayedChild(clock: SteppedClock, checkMs: number, checks: string[]) {
  let seed = 0;
  let blocks = 0;
  const killed = new AbortController();
  const child: MeasureChild = {
    async run(command, answer) {
      const ref = { path: '/x', bytes: 1, sha256: sha256(right(seed, blocks)) as Sha256 };
      const asked = (event: object) => Object.assign({ type: answer, id: 1 }, event) as never;
      if (command.type === 'probe.make') {
        ({ seed, blocks } = command);
        return asked({ theta: ref, shard: ref });
      }
      checks.push(command.type);
      if (command.type === 'compare') return asked({ distance: 1.4 });
      await clock.sleep(checkMs, killed.signal);
      return asked({ update: ref });
    },
    kill: () => killed.abort(new Error('killed')),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return child;
}

async function openRig({ announced = 50, probes = true, checkMs = 1000, isBusy = false } = {}) {
  const scratch = await openScratch(fastDir());
  const clock = new SteppedClock();
  const fleet = new Fleet({ logger: silentLogger });
  const blobs = new BlobStore(scratch.file('blobs'));
  const strikes: string[] = [];
  const checks: string[] = [];
  const master = { isBusy };
  const stop = new AbortController();
  const measurer = new Measurer(
    { dataDir: scratch.path, device: 'cpu', threads: 1, probes },
    {
      fleet,
      blobs,
      clock,
      logger: silentLogger,
      signal: stop.signal,
      workers: { addStrike: async (_worker, reason) => strikes.push(reason) },
      openChild: async () => openPlayedChild(clock, checkMs, checks),
      isBusy: () => master.isBusy,
    },
  );
  const played = new ProbedWorker(announced, { fleet, blobs, clock });
  const running = measurer.run();
  const pass = async (ms: number) => {
    const endMs = clock.now() + ms;
    void clock.sleep(ms);
    for (;;) {
      await settled();
      if (clock.now() >= endMs || !clock.step()) return;
    }
  };
  return {
    ...{ clock, fleet, blobs, strikes, checks, master, measurer, played, pass },
    view: () => fleet.view()[0],
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('The test is over.'));
      await pass(5 * SECOND);
      await running;
      await scratch[Symbol.asyncDispose]();
    },
  };
}

test('fresh worker: left alone for ten seconds, then measured by two runs', async () => {
  await using rig = await openRig();
  rig.played.connect();
  await rig.pass(9 * SECOND);
  expect(rig.played.runs).toEqual([]);
  await rig.pass(60 * SECOND);
  expect(rig.played.runs.map(({ steps }) => steps)).toEqual([1, 14, 28]);
  expect(new Set(rig.played.runs.map(({ seed }) => seed)).size).toBe(3);
  const truth = (SECOND / STEP_MS) * stepGflop('S');
  expect(rig.view()?.measuredGflops).toBeCloseTo(truth, 6);
  expect(rig.view()?.gflops).toBe(50); // 1.1 times the measured speed is more than it announces
  expect(rig.strikes).toEqual([]);
  expect(rig.checks).toEqual(['round.run']);
  const [, , long] = rig.played.runs;
  expect(await rig.blobs.stat(sha256(right(long?.seed ?? 0, 28)) as Sha256)).toBeUndefined();
});

test('worker that announces a hundred times its speed: capped after one probe', async () => {
  await using rig = await openRig({ announced: 5000 });
  rig.played.connect();
  expect(rig.view()).toMatchObject({ gflops: 1000, announcedGflops: 5000 });
  await rig.pass(120 * SECOND);
  const { gflops = 0, measuredGflops = 0 } = rig.view() ?? {};
  expect(gflops).toBeCloseTo(1.1 * measuredGflops, 6);
});

test.each<[Conduct, RegExp, number]>([
  ['noise', /relative distance 1.4/, 1],
  ['instant noise', /relative distance 1.4/, 1],
  ['silent', /no answer to 1 steps within 120 s/, 1],
  ['wrong tokens', /claims/, 1],
  ['huge update', /bytes, more than/, 1],
  ['no update', /did not arrive/, 1],
  ['fails', /out of memory/, 0],
])('worker of conduct "%s": speed 0, and a strike if it lies', async (conduct, reason, strikes) => {
  await using rig = await openRig();
  rig.played.conduct = conduct;
  rig.played.connect();
  await rig.pass(140 * SECOND);
  expect(rig.view()).toMatchObject({ gflops: 0, measuredGflops: 0 });
  expect(rig.fleet.idle()).toEqual([]);
  expect(rig.fleet.measurements(worker)?.at(-1)?.detail).toMatch(reason);
  expect(rig.strikes).toHaveLength(strikes);
});

test('honest again after a bad probe: speed and work come back with a good one', async () => {
  await using rig = await openRig();
  rig.played.conduct = 'noise';
  rig.played.connect();
  await rig.pass(60 * SECOND);
  rig.played.conduct = 'honest';
  await rig.pass(500 * SECOND);
  expect(rig.fleet.idle()).toEqual([]);
  await rig.pass(100 * SECOND);
  expect(rig.view()?.gflops).toBe(50);
  expect(rig.fleet.idle()).toHaveLength(1);
});

test('measured worker: probed again after seven days only', async () => {
  await using rig = await openRig();
  rig.played.connect();
  await rig.pass(60 * SECOND);
  const { length } = rig.played.runs;
  rig.master.isBusy = true;
  await rig.pass(SECOND);
  const later = { worker, source: 'probe', shape: 'S', gflops: 40, isOk: true } as const;
  await rig.fleet.recordMeasurement({ ...later, atMs: rig.clock.now() - 7 * 24 * 3600 * SECOND });
  rig.master.isBusy = false;
  await rig.pass(500 * SECOND);
  expect(rig.played.runs).toHaveLength(length); // a probe may take a hundredth of its time
  await rig.pass(100 * SECOND);
  expect(rig.played.runs).toHaveLength(length + 3);
});

/** A job that wants a worker, and what it hears. */
function openJob() {
  const joined: string[] = [];
  const jobId = JobId.parse(`0x${'2'.repeat(32)}`);
  const events = { onJoin: () => void joined.push('join'), onMessage() {}, onAway() {}, onExpelled() {} };
  const assignment: Assignment = { kind: 'job', jobId, events };
  return { assignment, joined };
}

test('job wants a worker in the middle of its probe: it has it at once', async () => {
  await using rig = await openRig();
  rig.played.connect();
  await rig.pass(12 * SECOND);
  expect(rig.played.runs).toHaveLength(2);
  const job = openJob();
  expect(rig.fleet.idle()).toHaveLength(1);
  rig.fleet.assign(worker, job.assignment);
  expect(job.joined).toEqual(['join']);
  expect(rig.played.heard.at(-1)).toMatchObject({ type: 'probe.close' });
  await rig.pass(300 * SECOND);
  expect(rig.played.runs).toHaveLength(2);
  expect(rig.view()).toMatchObject({ measuredGflops: undefined });
  expect(rig.strikes).toEqual([]);
});

test('worker with a job: no probe', async () => {
  await using rig = await openRig();
  rig.played.connect();
  rig.fleet.assign(worker, openJob().assignment);
  await rig.pass(100 * SECOND);
  expect(rig.played.runs).toEqual([]);
  expect(rig.measurer.measure(worker)).toBe('busy');
});

test('master gets a job: probes end and checks wait until it is done', async () => {
  await using rig = await openRig({ checkMs: 60 * SECOND });
  rig.played.connect();
  await rig.pass(20 * SECOND);
  expect(rig.checks).toEqual(['round.run']);
  rig.master.isBusy = true;
  await rig.pass(300 * SECOND);
  expect(rig.view()).toMatchObject({ measuredGflops: undefined });
  rig.master.isBusy = false;
  await rig.pass(70 * SECOND);
  expect(rig.checks).toEqual(['round.run', 'round.run']);
  expect(rig.view()?.measuredGflops).toBeGreaterThan(0);
});

test('worker that leaves every probe: after the third that is a bad one', async () => {
  await using rig = await openRig();
  for (const bad of [false, false, true]) {
    rig.played.connect();
    await rig.pass(14 * SECOND);
    rig.played.cut();
    await rig.pass(600 * SECOND);
    expect(rig.fleet.measurements(worker)).toHaveLength(bad ? 1 : 0);
  }
  rig.played.connect();
  expect(rig.fleet.idle()).toEqual([]);
});

test('probes switched off: measured by hand only', async () => {
  await using rig = await openRig({ probes: false });
  expect(rig.measurer.measure(worker)).toBe('not exist');
  rig.played.connect();
  await rig.pass(100 * SECOND);
  expect(rig.played.runs).toEqual([]);
  expect(rig.measurer.measure(worker)).toBe('measuring');
  await rig.pass(100 * SECOND);
  expect(rig.view()?.measuredGflops).toBeGreaterThan(0);
});
