/** The worker daemon: measures the machine, dials the master, and trains until Ctrl-C. */
import { join } from 'node:path';
import { BaseCache } from '../blobs/base-cache';
import { BlobStore } from '../blobs/blob-store';
import { openWallet, recoverTyped } from '../chain/sending/wallet';
import { addressBelow, linkAddress } from '../config/derived';
import { systemClock as clock } from '../lib/clock';
import { freeBytes } from '../lib/disk';
import { version } from '../lib/version';
import { openLinkClient } from '../link/client';
import { MAX_DEVICES } from '../protocol/link';
import type { TrainerSpec } from '../protocol/trainer';
import { openCoreShare } from '../runner/core-share';
import type { Trainer } from '../runner/trainer';
import { openTrainers } from '../runner/trainers';
import type { CommonOptions } from '../terminal/options';
import { listDevices } from '../worker/devices';
import { openPin } from '../worker/pin';
import { ReceiptBook } from '../worker/receipts';
import { measureSpeed } from '../worker/speed';
import { findPlace, runMember } from '../worker/team';
import { openWorker } from '../worker/worker';
import { keyOrNew } from './keys';
import { type OpenRole, openRole } from './open-role';
import { untilAllEnd } from './until-all-end';

/** How a worker differs from an honest one. */
export interface Disguise {
  /** Wraps how it opens its Python child. */
  wrap(open: OpenChild): OpenChild;
  /** The announced speed ÷ the true one. */
  boast: number;
}

type OpenChild = (spec: TrainerSpec) => Trainer;

/** Runs a worker until Ctrl-C. */
export function runWorker(options: CommonOptions): Promise<void> {
  return runDisguised(options, { wrap: (open) => open, boast: 1 });
}

/** Runs a worker that may be another than it seems; only the demo has such. */
export async function runDisguised(options: CommonOptions, disguise: Disguise): Promise<void> {
  await using role = await openRole('worker', options);
  if (role.config.team && role.config.team.rank > 0) await takePart(role);
  else await workForMaster(role, disguise);
  role.logger.info('Worker stopped');
}

async function workForMaster(role: OpenRole<'worker'>, disguise: Disguise): Promise<void> {
  const chainId = await findChain(role).catch((error) => {
    if (!role.signal.aborted) throw error;
  });
  if (chainId !== undefined) await work(role, chainId, disguise);
}

/** Computes for the first box of a team until the signal. */
async function takePart(role: OpenRole<'worker'>): Promise<void> {
  const { config, dataDir, logger, lock, stop, signal } = role;
  using machine = await openMachine(role);
  const { device, processes, threads, team: place, openChild } = machine;
  if (!place) throw new Error('A box that only takes part has a place in a team');
  logger.info('Box ready', { ...place, device, processes, threads: threads() });
  const options = { dataDir, device, processes, threads, place, teamMs: config.timeout.team };
  const member = runMember(options, { openChild, clock, logger }, signal);
  await Promise.all([untilAllEnd([lock.keep(signal)], stop), member]);
}

/** Works until the signal; closing ends the link first, then the Python child. */
async function work(role: OpenRole<'worker'>, chainId: number, disguise: Disguise): Promise<void> {
  const { config, dataDir, logger, lock, stop, signal } = role;
  const wallet = await openWallet(await keyOrNew(config, dataDir), chainId);
  using machine = await openMachine(role);
  const { device, processes, team, threads, lacking } = machine;
  // All boxes of a team are taken to be as this one.
  const devices = Array.from({ length: team?.boxes ?? 1 }, () => machine.devices)
    .flat()
    .slice(0, MAX_DEVICES);
  const gflops = config.powerCapacity ?? (team?.boxes ?? 1) * (await machine.gflops());
  const powerCapacity = disguise.boast * gflops;
  const openChild = disguise.wrap(machine.openChild);
  const blobs = new BlobStore(join(dataDir, 'blobs'));
  const book = { worker: wallet.address, chainId, recoverTyped, logger };
  const receipts = new ReceiptBook(join(dataDir, 'receipts.jsonl'), book);
  const { microBatch, timeout, masterAddress } = config;
  const free = () => freeBytes(dataDir);
  const kept = { root: join(dataDir, 'bases'), maxBytes: config.baseCacheBytes, blobs, freeBytes: free };
  const memoryBytes = Math.min(...devices.map((one) => one.memoryBytes));

  await using worker = await openWorker(
    { dataDir, device, threads, processes, team, microBatch, lacking, timeout },
    {
      pull: (blob, pullOptions) => link.pull(blob, pullOptions),
      send: (message) => link.send(message),
      room: async () => ({ memoryBytes, devices: devices.length, diskBytes: await free() }),
      bases: new BaseCache(kept),
      ...{ blobs, receipts, openChild, clock, logger },
    },
  );
  await using link = openLinkClient(
    { url: linkAddress(config.master_node_url), chainId, masterAddress, version },
    {
      offer: () => ({ devices, powerCapacity, held: worker.held() }),
      mayPull: (sha256) => worker.serves(sha256),
      pinned: openPin(dataDir),
      handlers: worker,
      ...{ wallet, recoverTyped, blobs, logger, clock },
    },
  );
  logger.info('Worker ready', {
    address: wallet.address,
    gflops: Math.round(powerCapacity),
    device,
    threads: threads(),
  });
  await untilAllEnd([lock.keep(signal)], stop);
  logger.info('Stopping', { state: worker.state.kind });
}

/** Checks Python and its devices, and finds this box's place in a team; speed is measured when asked for. */
async function openMachine({ config, dataDir, logger }: OpenRole<'worker'>) {
  const { device } = config;
  const { python, open: openChild } = await openTrainers({ ...config, dir: dataDir }, logger);
  const devices = listDevices(device, python);
  const cores = openCoreShare();
  const processes = device === 'cuda' ? devices.length : 1;
  const threads = () => config.threads || Math.max(1, Math.floor(cores.threads() / processes));
  const team = config.team && (await findPlace(config.team));
  const gflops = () => measureSpeed({ dataDir, device, devices, threads: threads() }, { openChild, logger });
  const end = () => cores[Symbol.dispose]();
  const { lacking } = python;
  return { device, devices, processes, team, threads, lacking, gflops, openChild, [Symbol.dispose]: end };
}

const MASTER_RETRY_MS = 2000;

/** Returns the id of the master's chain, needed to sign for it. Waits for a master that does not run yet. */
async function findChain({ config, logger, signal }: OpenRole<'worker'>): Promise<number> {
  if (config.chainId !== undefined) return config.chainId;
  const url = addressBelow(config.master_node_url, 'healthz');
  for (let isFirst = true; ; isFirst = false) {
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) });
      const { chainId } = (await response.json()) as { chainId?: unknown };
      if (typeof chainId === 'number') return chainId;
      throw new Error('the answer is not that of a master');
    } catch (error) {
      if (isFirst) logger.warn('Master does not answer yet; waiting for it', { url: config.master_node_url }, error);
      await clock.sleep(MASTER_RETRY_MS, signal);
    }
  }
}
