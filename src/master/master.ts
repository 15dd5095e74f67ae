/** The master as a whole: the jobs it works on, the chain events it takes over, and its admin API. */
import type { CoreEvent } from '../chain/contract/events';
import type { ChainCursor } from '../chain/reading/final-reader';
import type { ChainMove } from '../domain/chain-move';
import type { JobId } from '../domain/ids';
import type { Fleet } from '../fleet/fleet';
import { crashPoint } from '../lib/crash-point';
import type { AdminApi, MasterStatus, WorkerView } from '../protocol/admin';
import type { Store } from '../store/open';
import type { QueueFleet } from './ports';
import { findJob, requeueJob } from './requeue';
import { Scheduler, type SchedulerDeps, type SchedulerOptions } from './scheduler';
import { describeJob, viewJob, withUtilisation } from './status';

export interface Master {
  /** Records final events of the chain; resolves when the queue and the cursor are stored. */
  applyEvents(events: readonly CoreEvent[], cursor: ChainCursor): Promise<void>;
  /** The name under which this master's cursors are stored. */
  readonly cursorId: string;
  /** Returns where reading the chain continues after a restart. */
  loadCursors(): ReturnType<Store['cursors']['findPair']>;
  /** Works until the signal; call once. */
  run(): Promise<void>;
  readonly admin: MasterAdmin;
  /** True while there is a job to work on. */
  isBusy(): boolean;
  /** Bytes of the evidence of this master's jobs. */
  evidenceBytes(): number;
  /** Lists the jobs in progress that nothing works on. */
  strayJobs(): Promise<JobId[]>;
}

/** The admin API without what other parts of a master know. */
type MasterAdmin = Omit<AdminApi, 'measure' | 'status' | 'storage'> & {
  status(): Promise<Omit<MasterStatus, 'checks' | 'disk'>>;
};

interface MasterDeps extends SchedulerDeps {
  store: Store;
  fleet: QueueFleet & Pick<Fleet, 'addUser' | 'expel' | 'capacityGflops'>;
  /**
   * Writes final events into the queue and whatever else keeps them, inside `tx`; returns the moves they
   * stand for.
   */
  record(tx: Store, events: readonly CoreEvent[], cursor: ChainCursor): Promise<readonly ChainMove[]>;
}

/** Opens a master on a fleet of workers, whose idle ones it puts to its jobs. */
export function openMaster(options: SchedulerOptions, deps: MasterDeps): Master {
  const { store, chain, wallet, record, fleet } = deps;
  // Masters that share a database read the chain independently of each other.
  const cursorId = `${chain.chainId}:${chain.contract}:${wallet.address}`;
  const scheduler = new Scheduler(options, deps);
  fleet.addUser(scheduler);

  return {
    run: () => scheduler.run(),
    isBusy: () => scheduler.isBusy,
    evidenceBytes: () => scheduler.evidenceBytes,
    async strayJobs() {
      const held = await store.claims.listHeld(wallet.address);
      return [...held].filter((id) => !scheduler.find(id));
    },
    cursorId,
    loadCursors: () => store.cursors.findPair(cursorId),
    async applyEvents(events, cursor) {
      const moves = await store.transaction(async (tx) => {
        const recorded = await record(tx, events, cursor);
        await tx.cursors.save(cursorId, cursor);
        crashPoint('events.recorded');
        return recorded;
      });
      crashPoint('events.stored');
      for (const move of moves) scheduler.find(move.jobId)?.onChainState(move.state, move.node);
    },
    admin: openAdmin(deps, scheduler),
  };
}

function openAdmin({ store, clock, wallet, chain, fleet }: MasterDeps, scheduler: Scheduler): MasterAdmin {
  const liveOf = (jobId: JobId, workers: readonly WorkerView[]) => ({
    run: scheduler.find(jobId),
    workers,
    nowMs: clock.now(),
  });
  const listJobs = async () => {
    const rows = await store.jobs.list({ limit: 1000 });
    const workers = fleet.view();
    return rows.map((row) => viewJob(row, liveOf(row.id, workers)));
  };
  return {
    async disconnect(worker) {
      const known = fleet.view().some(({ address }) => address === worker);
      if (!known) return 'not exist';
      await store.workers.block(worker);
      fleet.expel(worker, 'disconnected by the operator');
      return 'disconnected';
    },
    async allow(worker) {
      return (await store.workers.allow(worker)) ? 'allowed' : 'not exist';
    },
    async workers() {
      const liveOf = ({ jobId }: WorkerView) => jobId && scheduler.find(jobId)?.live;
      return fleet.view().flatMap((worker) => withUtilisation([worker], liveOf(worker) || undefined, clock.now()));
    },
    jobs: listJobs,
    job: async (jobId) => describeJob(store, await findJob(jobId, store), liveOf(jobId, fleet.view())),
    requeue: (jobId) => requeueJob(jobId, { store, chain }),
    async status() {
      const connected = fleet.view().filter((worker) => worker.connected);
      return {
        address: wallet.address,
        chainId: chain.chainId,
        workers: connected.length,
        gflops: fleet.capacityGflops(),
        jobs: await listJobs().catch(() => undefined),
      };
    },
  };
}
