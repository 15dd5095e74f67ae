/** A real worker with Python behind a real link; the test plays the master. */
import { BlobStore } from '../../src/blobs/blob-store';
import { recoverTyped } from '../../src/chain/sending/wallet';
import type { JobId, Sha256 } from '../../src/domain/ids';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { type LinkClient, openLinkClient } from '../../src/link/client';
import type { BlobRef } from '../../src/protocol/blob-ref';
import type { MasterMessageIn, WorkerMessage } from '../../src/protocol/link';
import { openTrainer, type Trainer } from '../../src/runner/trainer';
import { ReceiptBook } from '../../src/worker/receipts';
import { openWorker, type Worker, type WorkerOptions } from '../../src/worker/worker';
import { type ChaosProxy, openChaosProxy } from './chaos-proxy';
import type { TestCoordinator } from './coordinator';
import { CHAIN_ID, newWallet, OFFER, openTestServer, type TestServer, until } from './link-pair';
import { openScratch } from './scratch';
import { openTestBases } from './test-bases';
import { testPython } from './tiny-job';
import { jobId } from './worker-messages';

type Of<T extends WorkerMessage['type']> = Extract<WorkerMessage, { type: T }>;

/** A worker and what the test needs to play its master. */
export interface WorkerRig extends AsyncDisposable {
  server: TestServer;
  proxy: ChaosProxy;
  worker: Worker;
  blobs: BlobStore;
  dataDir: string;
  job: JobId;
  /** Python children of the worker, in the order they were started. */
  children: Trainer[];
  send(message: MasterMessageIn): Promise<void>;
  /** Waits for the next message of a type that no call has returned yet. */
  received<T extends WorkerMessage['type']>(type: T): Promise<Of<T>>;
  open(): Promise<void>;
  /** Grants a lease of blocks [start, end) from weights in a file of the coordinator. */
  lease(
    leaseId: string,
    range: { round: number; start: number; end: number; theta: FileOf; delta?: DeltaOf },
  ): Promise<void>;
  /** Pulls an update from the worker; returns its path. */
  pull(update: BlobRef): Promise<string>;
}

interface FileOf {
  path: string;
  sha256: string;
  bytes: number;
}
type DeltaOf = FileOf & { base: string };

const patient = { wait_data: 60_000, idle: 60_000, learning: 60_000, checkpoint: 60_000, team: 60_000 };

/** Opens a rig. The coordinator holds data and weights, and can be used by several rigs in turn. */
export async function openWorkerRig(
  coordinator: TestCoordinator,
  timeout: Partial<WorkerOptions['timeout']> = {},
): Promise<WorkerRig> {
  const stack: AsyncDisposable[] = [];
  const keep = <T extends AsyncDisposable>(thing: T): T => {
    stack.unshift(thing);
    return thing;
  };
  const scratch = keep(await openScratch());
  const server = keep(await openTestServer());
  const proxy = keep(await openChaosProxy(server.port));
  const wallet = await newWallet();
  const blobs = new BlobStore(scratch.file('blobs'));
  const children: Trainer[] = [];
  const worker: Worker = keep(
    await openWorker(
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
        send: (message) => link.send(message),
        pull: (blob, options) => link.pull(blob, options),
        room: async () => ({ memoryBytes: 2 ** 33, devices: 1, diskBytes: 2 ** 33 }),
        receipts: new ReceiptBook(scratch.file('receipts.jsonl'), {
          worker: wallet.address,
          chainId: CHAIN_ID,
          recoverTyped,
          logger: silentLogger,
        }),
        openChild(spec) {
          const child = openTrainer(spec, { python: testPython, logger: silentLogger });
          children.push(child);
          return child;
        },
        clock: systemClock,
        logger: silentLogger,
      },
    ),
  );
  const link: LinkClient = keep(
    openLinkClient(
      {
        url: `ws://127.0.0.1:${proxy.port}/link`,
        chainId: CHAIN_ID,
        version: '0.1.0',
        backoffMs: { first: 10, last: 50 },
      },
      {
        wallet,
        recoverTyped,
        blobs,
        mayPull: (sha256) => worker.serves(sha256),
        offer: () => ({ ...OFFER, held: worker.held() }),
        pinned: { load: async () => undefined, save: async () => undefined },
        handlers: worker,
        logger: silentLogger,
        clock: systemClock,
      },
    ),
  );

  const returned = new Set<unknown>();
  const job = jobId('7');
  const send: WorkerRig['send'] = async (message) => (await server.peer(wallet.address)).send(message);
  const received = async <T extends WorkerMessage['type']>(type: T): Promise<Of<T>> => {
    const found = await until(() => server.messages.find((one) => one.message.type === type && !returned.has(one)));
    returned.add(found);
    return found.message as Of<T>;
  };
  const blobOf = async (file: FileOf): Promise<{ sha256: Sha256; bytes: number }> => {
    const { sha256, bytes } = await server.blobs.add(file.path, { move: false });
    return { sha256, bytes };
  };

  return {
    server,
    proxy,
    worker,
    blobs,
    dataDir: scratch.path,
    job,
    children,
    send,
    received,
    async open() {
      const { params, prepared } = coordinator;
      const { vocabSize, epochBlocks: totalBlocks } = prepared;
      await send({ type: 'job.open', jobId: job, params, vocabSize, totalBlocks });
      await received('job.ready');
    },
    async lease(leaseId, { round, start, end, theta, delta }) {
      const shard = await blobOf(await coordinator.cut(start, end));
      await send({
        type: 'lease.grant',
        jobId: job,
        leaseId,
        round,
        start,
        end,
        shard,
        theta: await blobOf(theta),
        ...(delta ? { delta: { base: delta.base, blob: await blobOf(delta) } } : {}),
        deadlineMs: 60_000,
      });
    },
    async pull(update) {
      await (await server.peer(wallet.address)).pull(update);
      return server.blobs.path(update.sha256);
    },
    async [Symbol.asyncDispose]() {
      for (const thing of stack) await thing[Symbol.asyncDispose]();
    },
  };
}
