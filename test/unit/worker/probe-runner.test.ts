/** A worker's side of probes, with children that need no Python. */
import { existsSync, readdirSync } from 'node:fs';
import { BlobStore } from '../../../src/blobs/blob-store';
import { silentLogger } from '../../../src/lib/logger';
import type { MasterMessage, WorkerMessageIn } from '../../../src/protocol/link';
import { openWorker } from '../../../src/worker/worker';
import { FakeTrainer, type Fate } from '../../support/fake-trainer';
import { openScratch } from '../../support/scratch';
import { SteppedClock, settled } from '../../support/stepped-clock';
import { openTestBases } from '../../support/test-bases';
import { jobId, masterAddress, openJob } from '../../support/worker-messages';

/** Opens a worker that has no job. */
async function openFreeWorker(...fates: Fate[]) {
  const scratch = await openScratch();
  const sent: WorkerMessageIn[] = [];
  const children: FakeTrainer[] = [];
  const timeout = { wait_data: 60_000, idle: 60_000, learning: 60_000, checkpoint: 60_000, team: 60_000 };
  const blobs = new BlobStore(scratch.file('blobs'));
  const worker = await openWorker(
    { dataDir: scratch.path, device: 'cpu', processes: 1, threads: () => 1, microBatch: 4, timeout },
    {
      blobs,
      bases: openTestBases(scratch.path, blobs),
      send: (message) => sent.push(message) > 0,
      pull: () => Promise.reject(new Error('A probe needs no blob.')),
      room: async () => ({ memoryBytes: 2 ** 33, devices: 1, diskBytes: 2 ** 33 }),
      receipts: { keep: () => undefined },
      openChild(spec) {
        const child = new FakeTrainer(spec, fates);
        children.push(child);
        return child;
      },
      clock: new SteppedClock(),
      logger: silentLogger,
    },
  );
  worker.onWelcome({ address: masterAddress, session: '' });
  return {
    ...{ worker, sent, children, scratch },
    /** Hands over messages, and waits until the worker can do no more by itself. */
    async hears(...messages: MasterMessage[]) {
      for (const message of messages) worker.onMessage(message);
      await settled();
    },
    get left(): string[] {
      return existsSync(scratch.file('probes')) ? readdirSync(scratch.file('probes')) : [];
    },
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

const run = (steps: number, probeId = 'p'): Extract<MasterMessage, { type: 'probe.run' }> => ({
  type: 'probe.run',
  probeId,
  seed: steps,
  shape: 'S',
  batch: 8,
  steps,
  deadlineMs: 1000,
});
const close: MasterMessage = { type: 'probe.close', probeId: 'p', reason: 'over' };

test('three runs and the close: one child does them all, and nothing is left', async () => {
  await using rig = await openFreeWorker();
  for (const steps of [1, 2, 4]) await rig.hears(run(steps));
  expect(rig.sent).toHaveLength(3);
  expect(rig.sent.at(-1)).toMatchObject({ type: 'probe.done', probeId: 'p', update: { bytes: 9 }, tokens: 256 });
  expect(rig.children.map(({ spec }) => spec)).toMatchObject([{ kind: 'train', microBatch: 4, vocabSize: 256 }]);
  await rig.hears(close);
  expect(rig.children[0]?.isDisposed).toBe(true);
  expect(rig.left).toEqual([]);
});

test('run while a job is open: refused as busy, the job goes on', async () => {
  await using rig = await openFreeWorker();
  await rig.hears(openJob(), run(1));
  expect(rig.sent).toMatchObject([{ type: 'probe.failed', code: 'worker/busy' }, { type: 'job.ready' }]);
  expect(rig.children).toHaveLength(1);
});

test('job in the middle of a run: the child is killed, the job opened, no answer sent', async () => {
  await using rig = await openFreeWorker('hangs');
  await rig.hears(run(4));
  await rig.hears(openJob());
  expect(rig.sent).toEqual([{ type: 'job.ready', jobId: jobId('1') }]);
  expect(rig.children.map(({ isDisposed }) => isDisposed)).toEqual([true, false]);
  expect(rig.left).toEqual([]);
});

test('run and job at once: the run never starts', async () => {
  await using rig = await openFreeWorker();
  await rig.hears(run(4), openJob());
  expect(rig.sent).toEqual([{ type: 'job.ready', jobId: jobId('1') }]);
  expect(rig.children.map(({ spec }) => 'jobId' in spec && spec.jobId)).toEqual([jobId('1')]);
});

test('child fails: the reason is reported, the next probe has a child of its own', async () => {
  await using rig = await openFreeWorker({ code: 'train/oom' });
  await rig.hears(run(4));
  expect(rig.sent).toMatchObject([{ type: 'probe.failed', probeId: 'p', code: 'train/oom' }]);
  await rig.hears(run(4, 'q'));
  expect(rig.sent.at(-1)).toMatchObject({ type: 'probe.done', probeId: 'q' });
  expect(rig.children).toHaveLength(2);
});

test('connection lost: the probe is over', async () => {
  await using rig = await openFreeWorker('hangs');
  await rig.hears(run(4));
  rig.worker.onClose('cut', false);
  await settled();
  expect(rig.sent).toEqual([]);
  expect(rig.children[0]?.isDisposed).toBe(true);
});
