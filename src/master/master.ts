import type { CoreEvent } from '../chain/contract/events';
import type { ChainCursor } from '../chain/reading/final-reader';
import type { ChainMove } from '../domain/chain-move';
import { WorkerHub } from '../fleet/worker-hub';
import { AppError } from '../lib/errors';
import type { Peer } from '../link/server';
import type { AdminApi } from '../protocol/admin';
import type { WorkerMessage } from '../protocol/link';
import type { Store } from '../store/open';
import type { JobRunDeps } from './job-run';
import { Scheduler, type SchedulerOptions } from './scheduler';
import { describeJob, viewJob } from './status';

export interface Master {
  /** What the link hands over. */
  readonly link: {
    onConnect(peer: Peer): void;
    onMessage(peer: Peer, message: WorkerMessage): void;
    onClose(peer: Peer, reason: string): void;
  };
  /** Takes over final events of the chain; resolves when the queue and the cursor are safely stored. */
  applyEvents(events: readonly CoreEvent[], cursor: ChainCursor): Promise<void>;
  /** Names its cursors. */
  readonly cursorId: string;
  /** Where reading the chain goes on after a restart. */
  loadCursors(): ReturnType<Store['cursors']['findPair']>;
  /** Works until the signal; call once. */
  run(): Promise<void>;
  readonly admin: AdminApi;
}

export type MasterError = { code: 'job/not-found'; jobId: string };

interface MasterDeps extends Omit<JobRunDeps, 'hub'> {
  /** Writes final events into the queue and whatever else keeps them, inside `tx`; returns the moves they stand for. */
  record(tx: Store, events: readonly CoreEvent[], cursor: ChainCursor): Promise<readonly ChainMove[]>;
}

/** Puts the master together: hub, scheduler, chain follower and the operator's view of them. */
export function openMaster(options: SchedulerOptions, deps: MasterDeps): Master {
  const { store, clock, logger, chain, wallet, record } = deps;
  // Masters that share a database read the chain each for itself.
  const cursorId = `${chain.chainId}:${chain.contract}:${wallet.address}`;
  const hub: WorkerHub = new WorkerHub({
    logger,
    clock,
    onIdle: () => scheduler.shareWorkers(),
    findDesk: (jobId) => {
      const run = scheduler.find(jobId);
      return run?.wantsWorkers ? run : undefined;
    },
  });
  const scheduler = new Scheduler(options, { ...deps, hub });

  return {
    link: {
      onConnect: (peer) => hub.connect(peer),
      onMessage: (peer, message) => hub.message(peer, message),
      onClose: (peer, reason) => hub.disconnect(peer, reason),
    },
    run: () => scheduler.run(),
    cursorId,
    loadCursors: () => store.cursors.findPair(cursorId),
    async applyEvents(events, cursor) {
      const moves = await store.transaction(async (tx) => {
        const recorded = await record(tx, events, cursor);
        await tx.cursors.save(cursorId, cursor);
        return recorded;
      });
      for (const move of moves) scheduler.find(move.jobId)?.onChainState(move.state, move.node);
    },
    admin: openAdmin(deps, hub, scheduler),
  };
}

function openAdmin(
  { store, clock, wallet, chain }: Omit<JobRunDeps, 'hub'>,
  hub: WorkerHub,
  scheduler: Scheduler,
): AdminApi {
  const listJobs = async () => {
    const rows = await store.jobs.list({ limit: 1000 });
    return rows.map((row) => viewJob(row, scheduler.find(row.id), hub, clock.now()));
  };
  return {
    async disconnect(worker) {
      const known = hub.view().some((seat) => seat.address === worker);
      if (!known) return 'not exist';
      await store.workers.block(worker);
      hub.expel(worker, 'disconnected by the operator');
      return 'disconnected';
    },
    async allow(worker) {
      return (await store.workers.allow(worker)) ? 'allowed' : 'not exist';
    },
    workers: async () => hub.view(),
    jobs: listJobs,
    async job(jobId) {
      const row = await store.jobs.find(jobId);
      if (!row) {
        throw new AppError<MasterError>({ code: 'job/not-found', jobId }, `No job ${jobId} is in this master's queue.`);
      }
      return describeJob(store, row, scheduler.find(jobId), hub, clock.now());
    },
    async status() {
      const connected = hub.view().filter((worker) => worker.connected);
      return {
        address: wallet.address,
        chainId: chain.chainId,
        workers: connected.length,
        gflops: hub.capacityGflops(),
        jobs: await listJobs(),
      };
    },
  };
}
