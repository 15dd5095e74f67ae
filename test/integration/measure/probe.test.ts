/** Probes over a real link, with real Python on both sides. */
import { existsSync, readdirSync } from 'node:fs';
import { BlobStore } from '../../../src/blobs/blob-store';
import type { Assignment } from '../../../src/fleet/assignment';
import { Fleet } from '../../../src/fleet/fleet';
import { systemClock } from '../../../src/lib/clock';
import { silentLogger } from '../../../src/lib/logger';
import { Measurer } from '../../../src/measure/measurer';
import type { WorkerMessage } from '../../../src/protocol/link';
import type { TrainerSpec } from '../../../src/protocol/trainer';
import { openTrainer, type Trainer } from '../../../src/runner/trainer';
import { openWorker, type Worker } from '../../../src/worker/worker';
import { newWallet, OFFER, openTestClient, openTestServer } from '../../support/link-pair';
import { waitUntilGone } from '../../support/processes';
import { openScratch } from '../../support/scratch';
import { openTestBases } from '../../support/test-bases';
import { testPython, tinyParams } from '../../support/tiny-job';
import { jobId } from '../../support/worker-messages';

// Python starts twice and trains a dozen steps on each side.
jest.setTimeout(240_000);

const openChild = (spec: TrainerSpec) => openTrainer(spec, { python: testPython, logger: silentLogger });

/** Waits for a value; limited by the timeout of the test. */
async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const value = look();
    if (value !== undefined) return value;
    await systemClock.sleep(20);
  }
}

/** A fleet with one worker, connected over a real link, and the measurer of its master. */
async function openRig(options: { powerCapacity?: number; wrap?: (child: Trainer) => Trainer } = {}) {
  const { powerCapacity = 5, wrap = (child: Trainer) => child } = options;
  const stack: AsyncDisposable[] = [];
  const keep = <T extends AsyncDisposable>(thing: T): T => {
    stack.unshift(thing);
    return thing;
  };
  const scratch = keep(await openScratch());
  const fleet = new Fleet({ logger: silentLogger });
  const server = keep(await openTestServer({}, { handlers: fleet }));
  const wallet = await newWallet();
  const blobs = new BlobStore(scratch.file('worker-blobs'));
  const children: Trainer[] = [];
  const worker: Worker = keep(
    await openWorker(
      {
        dataDir: scratch.file('worker'),
        device: 'cpu',
        processes: 1,
        threads: () => 1,
        microBatch: 8,
        timeout: { wait_data: 60_000, idle: 60_000, learning: 60_000, checkpoint: 60_000, team: 60_000 },
      },
      {
        blobs,
        bases: openTestBases(scratch.path, blobs),
        send: (message) => client.link.send(message),
        pull: (blob, pullOptions) => client.link.pull(blob, pullOptions),
        room: async () => ({ memoryBytes: 2 ** 33, devices: 1, diskBytes: 2 ** 33 }),
        receipts: { keep: () => undefined },
        openChild(spec) {
          const child = wrap(openChild(spec));
          children.push(child);
          return child;
        },
        clock: systemClock,
        logger: silentLogger,
      },
    ),
  );
  const offer = () => ({ ...OFFER, powerCapacity, held: worker.held() });
  const client = keep(await openTestClient(server.url, {}, { wallet, blobs, handlers: worker, offer }));
  const strikes: string[] = [];
  const stop = new AbortController();
  const measurer = new Measurer(
    { dataDir: scratch.file('master'), device: 'cpu', threads: 1, probes: false },
    {
      fleet,
      blobs: server.blobs,
      workers: { addStrike: async (_worker, reason) => strikes.push(reason) },
      openChild: async (spec) => openChild(spec),
      isBusy: () => false,
      clock: systemClock,
      logger: silentLogger,
      signal: stop.signal,
    },
  );
  await server.peer(wallet.address);
  await until(() => fleet.unassigned()[0]);
  return {
    ...{ fleet, measurer, strikes, children, blobs, scratch },
    address: wallet.address,
    measured: () => until(() => fleet.measurements(wallet.address)?.[0]),
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('The test is over.'));
      for (const thing of stack) await thing[Symbol.asyncDispose]();
    },
  };
}

test('honest worker: measured, its work confirmed, nothing left behind', async () => {
  await using rig = await openRig();
  expect(rig.measurer.measure(rig.address)).toBe('measuring');
  const measured = await rig.measured();
  expect(measured).toMatchObject({ source: 'probe', shape: 'S', isOk: true });
  expect(measured.gflops).toBeGreaterThan(0.1);
  expect(measured.gflops).toBeLessThan(10_000);
  expect(rig.strikes).toEqual([]);
  expect(rig.fleet.idle()).toHaveLength(1);
  const [child] = rig.children;
  await waitUntilGone(child?.pid ?? 0);
  await until(() => (readdirSync(rig.scratch.file('worker/probes')).length === 0 ? true : undefined));
  expect(readdirSync(rig.scratch.file('master/measure'))).toEqual([]);
});

test('worker that trains on other data: a strike and speed 0', async () => {
  const wrap = (child: Trainer): Trainer =>
    Object.assign(Object.create(child) as Trainer, {
      run: ((command, answer, onProgress) => {
        const other = command.type === 'probe.make' ? { ...command, seed: command.seed ^ 1 } : command;
        return child.run(other, answer, onProgress);
      }) satisfies Trainer['run'],
    });
  await using rig = await openRig({ wrap });
  rig.measurer.measure(rig.address);
  const measured = await rig.measured();
  expect(measured).toMatchObject({ isOk: false, gflops: 0 });
  expect(measured.detail).toMatch(/not that of the work/);
  await until(() => rig.strikes[0]);
  expect(rig.fleet.idle()).toEqual([]);
});

test('job in the middle of a probe: the worker drops it and is ready for the job', async () => {
  await using rig = await openRig({ powerCapacity: 200 });
  rig.measurer.measure(rig.address);
  const probing = await until(() => rig.children[0]);
  await probing.ready;
  const heard: WorkerMessage[] = [];
  const id = jobId('7');
  const job: Assignment = {
    kind: 'job',
    jobId: id,
    events: {
      onJoin: (worker) =>
        rig.fleet.send(worker, { type: 'job.open', jobId: id, params: tinyParams, vocabSize: 256, totalBlocks: 10 }),
      onMessage: (_worker, message) => void heard.push(message),
      onAway() {},
      onExpelled() {},
    },
  };
  rig.fleet.assign(rig.address, job);
  await until(() => heard.find(({ type }) => type === 'job.ready'));
  await waitUntilGone(probing.pid);
  expect(rig.children).toHaveLength(2);
  expect(existsSync(rig.scratch.file('master/measure'))).toBe(false);
  expect(rig.fleet.measurements(rig.address)).toEqual([]);
});
