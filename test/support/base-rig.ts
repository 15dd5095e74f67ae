/** A worker on a real link to a master that has a base; its Python children are fakes. */
import { randomBytes } from 'node:crypto';
import type { BaseCache } from '../../src/blobs/base-cache';
import { BlobStore } from '../../src/blobs/blob-store';
import { recoverTyped, type Wallet } from '../../src/chain/sending/wallet';
import type { Sha256 } from '../../src/domain/ids';
import { systemClock as clock } from '../../src/lib/clock';
import { type LinkClient, openLinkClient } from '../../src/link/client';
import type { WorkerMessage } from '../../src/protocol/link';
import type { OfferedJob } from '../../src/worker/state';
import { openWorker, type Worker } from '../../src/worker/worker';
import { type ChaosProxy, openChaosProxy } from './chaos-proxy';
import { FakeTrainer } from './fake-trainer';
import { CHAIN_ID, codeLogger, newWallet, OFFER, openTestServer, type TestServer, until } from './link-pair';
import { plannedParams } from './planned-params';
import { openScratch } from './scratch';
import { openTestBases } from './test-bases';
import { listBase, storeBase, tinyBase } from './tiny-base';
import { openJob } from './worker-messages';

type Of<T extends WorkerMessage['type']> = Extract<WorkerMessage, { type: T }>;

/** How a worker's process differs from one with much room. */
export interface BaseWorkerOptions {
  maxBytes?: number;
  lacking?: string[];
}

/** A master with a base, and the data directory of a worker. */
export interface BaseRig extends AsyncDisposable {
  readonly server: TestServer;
  readonly proxy: ChaosProxy;
  readonly list: Sha256;
  /** The file that is most of the base. */
  readonly weights: { sha256: Sha256; bytes: number };
  /** Whether the master sends anything. */
  isServing: boolean;
  /** Names of the blobs that were asked for. */
  readonly asked: string[];
  /** The opening of a job that trains an adapter for the base. */
  job(digit: string): OfferedJob;
  /** Starts the worker's process, anew after it was disposed of. */
  start(options?: BaseWorkerOptions): Promise<BaseWorker>;
}

export interface BaseWorker extends AsyncDisposable {
  readonly worker: Worker;
  readonly blobs: BlobStore;
  readonly cache: BaseCache;
  readonly children: FakeTrainer[];
  /** Codes of what was logged as a warning or an error. */
  readonly codes: string[];
  send(message: OfferedJob | { type: 'job.close'; jobId: string; reason: string }): Promise<void>;
  /** Waits for the next message of a type about a job. */
  received<T extends 'job.ready' | 'job.failed'>(type: T, digit: string): Promise<Of<T>>;
}

/** Much more than may be in flight when it is cut. */
const WEIGHTS_BYTES = 16 * 2 ** 20;

export async function openBaseRig(): Promise<BaseRig> {
  const scratch = await openScratch();
  const wallet = await newWallet();
  const asked: string[] = [];
  const mayPull = (_worker: unknown, sha256: Sha256) => asked.push(sha256) > 0 && rig.isServing;
  const server = await openTestServer({}, { mayPull });
  const proxy = await openChaosProxy(server.port);
  const files = tinyBase({ 'model.safetensors': randomBytes(WEIGHTS_BYTES) });
  const list = await storeBase(server.blobs, files);
  const listed = listBase(files);
  const baseBytes = listed.files.reduce((sum, file) => sum + file.bytes, 0);
  const size = { parameters: 1000, trainable: 100, baseBytes, layers: 1, width: 16, hidden: 64 };
  const reference = `sha256:${list}`;
  const base = { reference, list, listBytes: listed.text.length, size };
  const params = plannedParams({ tune: 'lora', base: reference, epochs: 1, batch: 4 });
  const rig: BaseRig = {
    ...{ server, proxy, list, asked },
    isServing: true,
    weights: listed.files.find(({ name }) => name === 'model.safetensors')!,
    job: (digit) => ({ ...openJob(digit), params, base }),
    start: (options = {}) => startWorker(options, { wallet, rig, file: scratch.file }),
    async [Symbol.asyncDispose]() {
      for (const opened of [proxy, server, scratch]) await opened[Symbol.asyncDispose]();
    },
  };
  return rig;
}

async function startWorker(
  { maxBytes = 2 ** 30, lacking = [] }: BaseWorkerOptions,
  { wallet, rig, file }: { wallet: Wallet; rig: BaseRig; file(name: string): string },
): Promise<BaseWorker> {
  const { server, proxy } = rig;
  const blobs = new BlobStore(file('blobs'));
  const cache = openTestBases(file('.'), blobs, maxBytes);
  const children: FakeTrainer[] = [];
  const logger = codeLogger();
  const patient = { wait_data: 60_000, idle: 60_000, learning: 60_000, checkpoint: 60_000, team: 60_000 };
  const options = { dataDir: file('.'), device: 'cpu', processes: 1, threads: () => 1, microBatch: 8, lacking };
  const worker: Worker = await openWorker(
    { ...options, timeout: patient },
    {
      send: (message) => link.send(message),
      pull: (blob, pulling) => link.pull(blob, pulling),
      room: async () => ({ memoryBytes: 2 ** 33, devices: 1, diskBytes: 2 ** 33 }),
      receipts: { keep: () => undefined },
      openChild(spec) {
        const child = new FakeTrainer(spec, []);
        children.push(child);
        return child;
      },
      ...{ blobs, bases: cache, clock, logger },
    },
  );
  const link: LinkClient = openLinkClient(
    {
      url: `ws://127.0.0.1:${proxy.port}/link`,
      chainId: CHAIN_ID,
      version: '0.1.0',
      backoffMs: { first: 10, last: 50 },
    },
    {
      mayPull: () => false,
      offer: () => ({ ...OFFER, held: worker.held() }),
      pinned: { load: async () => undefined, save: async () => undefined },
      handlers: worker,
      ...{ wallet, recoverTyped, blobs, logger, clock },
    },
  );
  const heard = new Set<unknown>();
  return {
    ...{ worker, blobs, cache, children, codes: logger.codes },
    send: async (message) => (await server.peer(wallet.address)).send(message),
    async received<T extends 'job.ready' | 'job.failed'>(type: T, digit: string): Promise<Of<T>> {
      const { jobId } = openJob(digit);
      const isIt = (one: TestServer['messages'][number]) =>
        one.message.type === type && one.message.jobId === jobId && !heard.has(one);
      const found = await until(() => server.messages.find(isIt));
      heard.add(found);
      return found.message as Of<T>;
    },
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      await worker[Symbol.asyncDispose]();
    },
  };
}
