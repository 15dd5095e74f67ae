import { BlobStore } from '../../../src/blobs/blob-store';
import { systemClock } from '../../../src/lib/clock';
import { type Logger, silentLogger } from '../../../src/lib/logger';
import type { PullOptions } from '../../../src/link/ports';
import type { WorkerMessageIn } from '../../../src/protocol/link';
import { openWorker, type WorkerOptions } from '../../../src/worker/worker';
import { FakeTrainer, type Fate } from '../../support/fake-trainer';
import { until } from '../../support/link-pair';
import { openScratch } from '../../support/scratch';
import { grant, openJob, ourAddress } from '../../support/worker-messages';

const patient = { wait_data: 60_000, idle: 60_000, learning: 60_000, checkpoint: 60_000 };

/** A worker whose children and link are a few lines each. */
async function openDesk(
  options: {
    fates?: Fate[];
    timeout?: Partial<WorkerOptions['timeout']>;
    isMasterSilent?: boolean;
    /** Whatever comes about while data are on their way. */
    meanwhile?: (child: FakeTrainer | undefined) => Promise<void>;
    /** Called for every child when it is started, the first being number 1. */
    onChild?: (child: FakeTrainer, number: number) => void;
    logger?: Logger;
  } = {},
) {
  const { fates = [], timeout = {}, isMasterSilent = false, meanwhile, onChild, logger = silentLogger } = options;
  const scratch = await openScratch();
  const sent: WorkerMessageIn[] = [];
  const pulls: string[] = [];
  const children: FakeTrainer[] = [];
  const link = { isUp: true };
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
      blobs: new BlobStore(scratch.file('blobs')),
      send: (message) => link.isUp && sent.push(message) > 0,
      async pull(blob, { signal }: PullOptions) {
        pulls.push(blob.sha256);
        await meanwhile?.(children.at(-1));
        if (isMasterSilent) await systemClock.sleep(60_000, signal);
      },
      receipts: { keep: () => undefined },
      openChild(spec) {
        const child = new FakeTrainer(spec, fates);
        children.push(child);
        onChild?.(child, children.length);
        return child;
      },
      clock: systemClock,
      logger,
    },
  );
  const heard = (type: WorkerMessageIn['type']) => until(() => sent.find((message) => message.type === type));
  worker.onWelcome({ address: ourAddress, session: '' });
  worker.onMessage(openJob());
  await heard('job.ready');
  return {
    worker,
    link,
    sent,
    pulls,
    children,
    heard,
    scratch,
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

const oom = { code: 'train/oom' };

describe('openWorker', () => {
  test('default: shard and weights are pulled, the round is trained and committed', async () => {
    await using desk = await openDesk();
    desk.worker.onMessage(grant('a'));
    expect(await desk.heard('lease.commit')).toMatchObject({ leaseId: 'a', update: { bytes: 9 }, tokens: 256 });
    expect(desk.pulls).toEqual([grant('a').shard.sha256, grant('a').theta.sha256]);
  });

  test('when the child ran out of memory twice: the third is given half the micro-batch', async () => {
    await using desk = await openDesk({ fates: [oom, oom] });
    desk.worker.onMessage(grant('a'));
    await desk.heard('lease.commit');
    expect(desk.children.map(({ spec }) => 'microBatch' in spec && spec.microBatch)).toEqual([4, 4, 2]);
    expect(desk.children.map((child) => child.isDisposed)).toEqual([true, true, false]);
  });

  test('when training makes no progress for timeout.learning: killed, tried again, given back', async () => {
    await using desk = await openDesk({ fates: ['hangs', 'hangs'], timeout: { learning: 40 } });
    desk.worker.onMessage(grant('a'));
    expect(await desk.heard('lease.failed')).toMatchObject({
      code: 'worker/learning-stuck',
      reason: expect.stringContaining('timeout.learning'),
    });
    expect(desk.children).toHaveLength(2);
  });

  test('when no data come for timeout.wait_data: given back', async () => {
    await using desk = await openDesk({ isMasterSilent: true, timeout: { wait_data: 40 } });
    desk.worker.onMessage(grant('a'));
    expect(await desk.heard('lease.failed')).toMatchObject({
      code: 'worker/wait-data-stuck',
      reason: expect.stringContaining('timeout.wait_data'),
    });
  });

  test('when data take longer than timeout.idle: the child that waits for them is not idle', async () => {
    const waiting: (FakeTrainer | undefined)[] = [];
    const meanwhile = async (child?: FakeTrainer) => {
      waiting.push(child);
      await systemClock.sleep(100);
    };
    await using desk = await openDesk({ meanwhile, timeout: { idle: 20 } });
    desk.worker.onMessage(grant('a'));
    await until(() => desk.sent.some(({ type }) => type === 'lease.commit' || type === 'lease.failed'));
    expect(desk.sent.at(-1)).toMatchObject({ type: 'lease.commit' });
    // One may have ended, rightly, before the lease came.
    expect(waiting).toEqual([desk.children.at(-1), desk.children.at(-1)]);
    await until(() => desk.children.at(-1)?.isDisposed);
  });

  test('when the child dies while data come: another one does the round', async () => {
    const meanwhile = async (child?: FakeTrainer) => {
      if (desk.children.length === 1) child?.kill();
      await systemClock.sleep(1);
    };
    await using desk = await openDesk({ meanwhile });
    desk.worker.onMessage(grant('a'));
    await until(() => desk.sent.some(({ type }) => type === 'lease.commit' || type === 'lease.failed'));
    expect(desk.sent.at(-1)).toMatchObject({ type: 'lease.commit' });
    expect(desk.children).toHaveLength(2);
  });

  test('when no verdict comes for timeout.checkpoint: the update is dropped', async () => {
    await using desk = await openDesk({ timeout: { checkpoint: 40 } });
    desk.worker.onMessage(grant('a'));
    await desk.heard('lease.commit');
    await until(() => desk.worker.state.kind === 'ready');
  });

  test('when the link is down at the end of a round: the update is held and committed at the welcome', async () => {
    await using desk = await openDesk({ timeout: { checkpoint: 40 } });
    desk.link.isUp = false;
    desk.worker.onClose('cut', false);
    desk.worker.onMessage(grant('a'));
    await until(() => desk.worker.state.kind === 'finished');
    expect(desk.worker.held()).toMatchObject({ leaseId: 'a', update: { bytes: 9 } });
    desk.link.isUp = true;
    desk.worker.onWelcome({ address: ourAddress, session: '' });
    await desk.heard('lease.commit');
  });

  test('warns of a link that was cut, and not of one that we end ourselves', async () => {
    const warnings: unknown[] = [];
    const logger = { ...silentLogger, warn: (message: string, fields?: object) => warnings.push({ message, fields }) };
    await using desk = await openDesk({ logger: { ...logger, child: () => logger } as Logger });
    desk.worker.onClose('the worker stops', true);
    desk.worker.onClose('no heartbeat', false);
    expect(warnings).toEqual([
      { message: 'The link was cut; connecting again', fields: { reason: 'no heartbeat', held: undefined } },
    ]);
  });

  test('when a lease is revoked and another granted at once: only the second is committed', async () => {
    await using desk = await openDesk({ fates: ['hangs'] });
    desk.worker.onMessage(grant('a'));
    await until(() => desk.pulls.length === 2);
    desk.worker.onMessage({ type: 'lease.revoke', leaseId: 'a', reason: 'over' });
    desk.worker.onMessage(grant('b'));
    expect(await desk.heard('lease.commit')).toMatchObject({ leaseId: 'b' });
    expect(desk.sent.filter(({ type }) => type === 'lease.failed')).toEqual([]);
    expect(desk.children).toHaveLength(1);
  });

  test('when disposed while a child starts: none is left', async () => {
    let stopped: PromiseLike<void> | undefined;
    const onChild = (_child: FakeTrainer, number: number) => {
      if (number === 2) stopped = desk.worker[Symbol.asyncDispose]();
    };
    await using desk = await openDesk({ fates: [{ code: 'runner/odd' }], onChild });
    desk.worker.onMessage(grant('a'));
    await until(() => stopped);
    await stopped;
    expect(desk.children.map(({ isDisposed }) => isDisposed)).toEqual([true, true]);
  });

  test('when disposed while it opens a job: the child that ends by that is neither started again nor an error', async () => {
    let stopped: PromiseLike<void> | undefined;
    const onChild = (child: FakeTrainer, number: number) => {
      if (number === 1) return;
      Object.assign(child, { ready: child.ended.then((error) => Promise.reject(error)) });
      setImmediate(() => (stopped ??= desk.worker[Symbol.asyncDispose]()));
    };
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (message: string) => errors.push(message) };
    await using desk = await openDesk({ onChild, logger: { ...logger, child: () => logger } as Logger });
    desk.worker.onMessage(openJob('2'));
    await until(() => stopped);
    await stopped;
    expect(desk.children).toHaveLength(2);
    expect(errors).toEqual([]);
  });

  test('when a lease is named like a path: nothing is written outside the job', async () => {
    await using desk = await openDesk();
    desk.worker.onMessage(grant('../../../../tmp/evil'));
    expect(await desk.heard('lease.commit')).toMatchObject({ leaseId: '../../../../tmp/evil' });
  });
});
