/** How the worker performs the effects of its state machine, with fake children and a fake link. */
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BlobStore } from '../../../src/blobs/blob-store';
import { crashPoints } from '../../../src/lib/crash-point';
import { AppError } from '../../../src/lib/errors';
import { type Logger, silentLogger } from '../../../src/lib/logger';
import type { PullOptions } from '../../../src/link/ports';
import type { WorkerMessageIn } from '../../../src/protocol/link';
import { openWorker, type WorkerOptions } from '../../../src/worker/worker';
import { FakeTrainer, type Fate } from '../../support/fake-trainer';
import { until } from '../../support/link-pair';
import { openScratch } from '../../support/scratch';
import { SteppedClock, settled } from '../../support/stepped-clock';
import { openTestBases } from '../../support/test-bases';
import { blobName, grant, masterAddress, openJob } from '../../support/worker-messages';

const patient = { wait_data: 60_000, idle: 60_000, learning: 60_000, checkpoint: 60_000, team: 60_000 };

const jobDir = join('jobs', openJob().jobId);
const keptIn = (dataDir: string) => join(dataDir, jobDir, `theta-${blobName('7')}.safetensors`);

/** Leaves weights on the disk, as the child of a killed worker does. */
async function leave(dataDir: string, weights: readonly string[]): Promise<void> {
  await mkdir(join(dataDir, jobDir), { recursive: true });
  for (const sha256 of weights) writeFileSync(join(dataDir, jobDir, `theta-${sha256}.safetensors`), 'weights');
}

/** Opens a worker whose children and link are fakes. */
async function openFakeWorker(
  options: {
    fates?: Fate[];
    timeout?: Partial<WorkerOptions['timeout']>;
    isMasterSilent?: boolean;
    /** Blobs that the master does not have. */
    missing?: readonly string[];
    /** Runs while a blob is being fetched. */
    duringPull?: (child: FakeTrainer | undefined, clock: SteppedClock) => Promise<void>;
    /** Called for every child when it is started; the first has number 1. */
    onChild?: (child: FakeTrainer, number: number) => void;
    logger?: Logger;
    room?: { memoryBytes: number; diskBytes: number };
    /** Runs in the data directory before the worker is opened. */
    before?: (dataDir: string) => Promise<void>;
  } = {},
) {
  const { fates = [], timeout = {}, isMasterSilent = false, duringPull, onChild, logger = silentLogger } = options;
  const { room = { memoryBytes: 2 ** 33, diskBytes: 2 ** 33 } } = options;
  const scratch = await openScratch();
  await options.before?.(scratch.path);
  const sent: WorkerMessageIn[] = [];
  const pulls: string[] = [];
  const children: FakeTrainer[] = [];
  const link = { isUp: true };
  const clock = new SteppedClock();
  const blobs = new BlobStore(scratch.file('blobs'));
  const worker = await openWorker(
    {
      dataDir: scratch.path,
      device: 'cpu',
      processes: 1,
      threads: () => 1,
      microBatch: 8,
      timeout: { ...patient, ...timeout },
    },
    {
      blobs,
      bases: openTestBases(scratch.path, blobs),
      send: (message) => link.isUp && sent.push(message) > 0,
      async pull(blob, { signal }: PullOptions) {
        pulls.push(blob.sha256);
        await duringPull?.(children.at(-1), clock);
        if (options.missing?.includes(blob.sha256)) throw new AppError({ code: 'link/unavailable' }, 'It is not here.');
        if (isMasterSilent) await clock.sleep(3_600_000, signal);
      },
      room: async () => ({ ...room, devices: 1 }),
      receipts: { keep: () => undefined },
      openChild(spec) {
        const child = new FakeTrainer(spec, fates);
        children.push(child);
        onChild?.(child, children.length);
        return child;
      },
      clock,
      logger,
    },
  );
  const find = (type: WorkerMessageIn['type']) => () => sent.find((message) => message.type === type);
  const received = (type: WorkerMessageIn['type']) => until(find(type));
  /** Moves the clock on while nothing else can run, until the probe returns a value. Returns the time. */
  const elapse = async (probe: () => unknown): Promise<number> => {
    const startMs = clock.now();
    for (await settled(); !probe(); await settled()) if (!clock.step()) throw new Error('Nothing waits for the clock.');
    return clock.now() - startMs;
  };
  worker.onWelcome({ address: masterAddress, session: '' });
  worker.onMessage(openJob());
  await received(options.room ? 'job.failed' : 'job.ready');
  return {
    worker,
    link,
    sent,
    pulls,
    children,
    find,
    received,
    elapse,
    scratch,
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

const oom = { code: 'train/oom' };

describe('openWorker', () => {
  test('default: shard and weights are fetched, the round is trained and committed', async () => {
    await using rig = await openFakeWorker();
    rig.worker.onMessage(grant('a'));
    expect(await rig.received('lease.commit')).toMatchObject({ leaseId: 'a', update: { bytes: 9 }, tokens: 256 });
    expect(rig.pulls).toEqual([grant('a').shard.sha256, grant('a').theta.sha256]);
  });

  test('process killed: the next goes on from weights on its disk, by a delta', async () => {
    await using rig = await openFakeWorker({ before: (dir) => leave(dir, [blobName('7'), blobName('8')]) });
    const delta = { base: blobName('7'), blob: { sha256: blobName('9'), bytes: 5 } };
    rig.worker.onMessage({ ...grant('a'), delta });
    await rig.received('lease.commit');
    expect(rig.pulls).toEqual([grant('a').shard.sha256, blobName('9')]);
    expect(rig.children[0]?.rounds[0]?.theta).toMatchObject({
      base: blobName('7'),
      basePath: keptIn(rig.scratch.path),
    });
  });

  test('weights of the very round are on the disk: nothing is fetched but the shard', async () => {
    await using rig = await openFakeWorker({ before: (dir) => leave(dir, [grant('a').theta.sha256]) });
    rig.worker.onMessage(grant('a'));
    await rig.received('lease.commit');
    expect(rig.pulls).toEqual([grant('a').shard.sha256]);
  });

  test('weights on the disk are of no use: fetched whole the second time', async () => {
    const before = (dir: string) => leave(dir, [grant('a').theta.sha256]);
    await using rig = await openFakeWorker({ before, fates: [{ code: 'model/wrong-hash' }] });
    rig.worker.onMessage(grant('a'));
    await rig.received('lease.commit');
    const { shard, theta } = grant('a');
    expect(rig.pulls).toEqual([shard.sha256, shard.sha256, theta.sha256]);
  });

  test('process killed: all but weights of this job is removed', async () => {
    const other = join('jobs', 'another', `theta-${blobName('7')}.safetensors`);
    const before = async (dir: string) => {
      await leave(dir, [blobName('7')]);
      for (const name of [other, join(jobDir, 'update'), join(jobDir, 'theta-12.safetensors')]) {
        await mkdir(dirname(join(dir, name)), { recursive: true });
        writeFileSync(join(dir, name), 'left');
      }
    };
    await using rig = await openFakeWorker({ before });
    expect(await readdir(join(rig.scratch.path, jobDir))).toEqual([`theta-${blobName('7')}.safetensors`]);
    expect(existsSync(join(rig.scratch.path, other))).toBe(false);
  });

  test.each(['memory', 'disk'] as const)(
    'job needs more %s than there is: refused before anything begins',
    async (what) => {
      const room = { memoryBytes: 2 ** 33, diskBytes: 2 ** 33, [`${what}Bytes`]: 1000 };
      await using rig = await openFakeWorker({ room });
      expect(await rig.received('job.failed')).toMatchObject({
        code: 'worker/too-small',
        reason: expect.stringContaining(what),
      });
      expect(rig.children).toEqual([]);
      expect(rig.worker.state.kind).toBe('free');
    },
  );

  test('out of memory twice: the third child gets half the micro-batch', async () => {
    await using rig = await openFakeWorker({ fates: [oom, oom] });
    rig.worker.onMessage(grant('a'));
    await rig.received('lease.commit');
    expect(rig.children.map(({ spec }) => 'microBatch' in spec && spec.microBatch)).toEqual([4, 4, 2]);
    expect(rig.children.map((child) => child.isDisposed)).toEqual([true, true, false]);
  });

  test('no progress for timeout.learning: killed, repeated once, then the lease fails', async () => {
    await using rig = await openFakeWorker({ fates: ['hangs', 'hangs'], timeout: { learning: 40 } });
    rig.worker.onMessage(grant('a'));
    expect(await rig.elapse(rig.find('lease.failed'))).toBe(2 * 40);
    expect(await rig.received('lease.failed')).toMatchObject({
      code: 'worker/learning-stuck',
      reason: expect.stringContaining('timeout.learning'),
    });
    expect(rig.children).toHaveLength(2);
  });

  test('no data for timeout.wait_data: the lease fails', async () => {
    await using rig = await openFakeWorker({ isMasterSilent: true, timeout: { wait_data: 40 } });
    rig.worker.onMessage(grant('a'));
    expect(await rig.elapse(rig.find('lease.failed'))).toBe(2 * 40);
    expect(await rig.received('lease.failed')).toMatchObject({
      code: 'worker/wait-data-stuck',
      reason: expect.stringContaining('timeout.wait_data'),
    });
  });

  test('shard cannot be had: the lease fails without waiting for the weights', async () => {
    await using rig = await openFakeWorker({ isMasterSilent: true, missing: [grant('a').shard.sha256] });
    rig.worker.onMessage(grant('a'));
    expect(await rig.elapse(rig.find('lease.failed'))).toBe(0);
    expect(await rig.received('lease.failed')).toMatchObject({ code: 'link/unavailable' });
  });

  test('fetch takes longer than timeout.idle: the waiting child is not idle', async () => {
    const waiting: (FakeTrainer | undefined)[] = [];
    const duringPull = async (child: FakeTrainer | undefined, clock: SteppedClock) => {
      waiting.push(child);
      await clock.sleep(100);
    };
    await using rig = await openFakeWorker({ duringPull, timeout: { idle: 20 } });
    rig.worker.onMessage(grant('a'));
    // Shard and weights are fetched at once.
    expect(await rig.elapse(() => rig.find('lease.commit')() ?? rig.find('lease.failed')())).toBe(100);
    expect(rig.sent.at(-1)).toMatchObject({ type: 'lease.commit' });
    expect(rig.children).toHaveLength(1);
    expect(waiting).toEqual([rig.children[0], rig.children[0]]);
    expect(await rig.elapse(() => rig.children[0]?.isDisposed)).toBe(20);
  });

  test('child dies during a fetch: another one trains the round', async () => {
    const duringPull = async (child?: FakeTrainer) => {
      if (rig.children.length === 1) child?.kill();
      await settled();
    };
    await using rig = await openFakeWorker({ duringPull });
    rig.worker.onMessage(grant('a'));
    await until(() => rig.sent.some(({ type }) => type === 'lease.commit' || type === 'lease.failed'));
    expect(rig.sent.at(-1)).toMatchObject({ type: 'lease.commit' });
    expect(rig.children).toHaveLength(2);
  });

  test('no verdict for timeout.checkpoint: the update is dropped', async () => {
    await using rig = await openFakeWorker({ timeout: { checkpoint: 40 } });
    rig.worker.onMessage(grant('a'));
    await rig.received('lease.commit');
    expect(await rig.elapse(() => rig.worker.state.kind === 'ready')).toBe(40);
  });

  test('round ends while disconnected: the update is committed at the welcome', async () => {
    await using rig = await openFakeWorker({ timeout: { checkpoint: 40 } });
    rig.link.isUp = false;
    rig.worker.onClose('cut', false);
    rig.worker.onMessage(grant('a'));
    await until(() => rig.worker.state.kind === 'finished');
    expect(rig.worker.held()).toMatchObject({ leaseId: 'a', update: { bytes: 9 } });
    rig.link.isUp = true;
    rig.worker.onWelcome({ address: masterAddress, session: '' });
    await rig.received('lease.commit');
  });

  test('link ends: a warning, unless the worker ended it', async () => {
    const warnings: unknown[] = [];
    const warn = (message: string, fields?: object) => void warnings.push({ message, fields });
    const logger: Logger = { ...silentLogger, warn, child: () => logger };
    await using rig = await openFakeWorker({ logger });
    rig.worker.onClose('the worker is stopping', true);
    rig.worker.onClose('no heartbeat', false);
    expect(warnings).toEqual([
      { message: 'Disconnected from the master; reconnecting', fields: { reason: 'no heartbeat', held: undefined } },
    ]);
  });

  test('lease revoked and another granted at once: only the second is committed', async () => {
    await using rig = await openFakeWorker({ fates: ['hangs'] });
    rig.worker.onMessage(grant('a'));
    await until(() => rig.pulls.length === 2);
    rig.worker.onMessage({ type: 'lease.revoke', leaseId: 'a', reason: 'over' });
    rig.worker.onMessage(grant('b'));
    expect(await rig.received('lease.commit')).toMatchObject({ leaseId: 'b' });
    expect(rig.sent.filter(({ type }) => type === 'lease.failed')).toEqual([]);
    expect(rig.children).toHaveLength(1);
  });

  test('disposed while a child starts: no child is left', async () => {
    let stopped: PromiseLike<void> | undefined;
    const onChild = (_child: FakeTrainer, number: number) => {
      if (number === 2) stopped = rig.worker[Symbol.asyncDispose]();
    };
    await using rig = await openFakeWorker({ fates: [{ code: 'runner/odd' }], onChild });
    rig.worker.onMessage(grant('a'));
    await until(() => stopped);
    await stopped;
    expect(rig.children.map(({ isDisposed }) => isDisposed)).toEqual([true, true]);
  });

  test('disposed while opening a job: the child is not restarted, and no error is logged', async () => {
    let stopped: PromiseLike<void> | undefined;
    const onChild = (child: FakeTrainer, number: number) => {
      if (number === 1) return;
      Object.assign(child, { ready: child.ended.then((error) => Promise.reject(error)) });
      setImmediate(() => (stopped ??= rig.worker[Symbol.asyncDispose]()));
    };
    const errors: string[] = [];
    const error = (message: string) => void errors.push(message);
    const logger: Logger = { ...silentLogger, error, child: () => logger };
    await using rig = await openFakeWorker({ onChild, logger });
    rig.worker.onMessage(openJob('2'));
    await until(() => stopped);
    await stopped;
    expect(rig.children).toHaveLength(2);
    expect(errors).toEqual([]);
  });

  test('lease id that looks like a path: nothing is written outside the job', async () => {
    await using rig = await openFakeWorker();
    rig.worker.onMessage(grant('../../../../tmp/evil'));
    expect(await rig.received('lease.commit')).toMatchObject({ leaseId: '../../../../tmp/evil' });
  });
});

describe('something unexpected throws once', () => {
  afterEach(() => {
    delete process.env.EMETH_CRASH_POINTS;
  });

  const passed = crashPoints.worker.filter((point) => point !== 'receipt.kept');
  test.each(passed)('at %s: the lease is committed, and so is the next', async (point) => {
    await using scratch = await openScratch();
    writeFileSync(scratch.file(point), 'throw 1');
    process.env.EMETH_CRASH_POINTS = scratch.path;
    await using rig = await openFakeWorker();
    for (const leaseId of ['a', 'b']) {
      rig.worker.onMessage(grant(leaseId));
      await until(() => rig.sent.find((message) => message.type === 'lease.commit' && message.leaseId === leaseId));
      rig.worker.onMessage({ type: 'update.verdict', leaseId, accepted: true });
    }
    await rig.worker[Symbol.asyncDispose]();
    expect(existsSync(scratch.file(`${point}.met`))).toBe(true);
  });
});
