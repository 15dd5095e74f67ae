/** Keeps this master's claims alive, and finds out which jobs became its own or another's. */
import type { JobId } from '../domain/ids';
import type { JobState } from '../domain/job';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import { Trouble } from '../lib/trouble';
import { CLAIM_MS, claimLost } from '../store/claimant';
import type { JobRow } from '../store/jobs';
import type { JobRun } from './job-run';
import { JobPlan } from './plan';
import type { JobBlobs, JobWallet, MasterStorage, QueueStore } from './ports';

interface ClaimKeeperDeps {
  store: QueueStore;
  blobs: Pick<JobBlobs, 'stat'>;
  storage: Pick<MasterStorage, 'size'>;
  wallet: Pick<JobWallet, 'address'>;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

/** However late one renewal comes, another comes before the claim is lost. */
const BEAT_MS = 0.3 * CLAIM_MS;

export class ClaimKeeper {
  private readonly trouble: Trouble;
  private renewedAtMs = 0;

  /** `runs` are the jobs that this process works on. */
  constructor(
    private readonly deps: ClaimKeeperDeps,
    private readonly runs: () => readonly Pick<JobRun, 'jobId' | 'onClaimLost'>[],
  ) {
    this.trouble = new Trouble(deps.wallet.address);
  }

  /** Until the signal, renews the claims when whoever should do it by `hold` is busy with something else. */
  async keep(): Promise<void> {
    const { clock, logger, signal } = this.deps;
    for (;;) {
      await clock.sleep(BEAT_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      if (clock.now() < this.renewedAtMs + BEAT_MS) continue;
      try {
        await this.hold();
        this.trouble.end();
      } catch (error) {
        if (this.trouble.note(error, clock.now())) logger.warn('Claims cannot be renewed', {}, error);
      }
    }
  }

  /** Renews the claims. Ends the runs of jobs that are another's now, and returns those of this one. */
  async hold(): Promise<ReadonlySet<JobId>> {
    const { store, wallet, clock, logger } = this.deps;
    // A job that is claimed meanwhile is not missing.
    const running = this.runs();
    const { held, taken, freed } = await store.claims.hold(wallet.address, (jobId) => this.mayTake(jobId));
    this.renewedAtMs = clock.now();
    for (const run of running) if (!held.has(run.jobId)) run.onClaimLost(claimLost(run.jobId));
    for (const jobId of taken) logger.info('Job taken over', { jobId });
    for (const jobId of freed) logger.warn('Job of a lost master queued', { jobId });
    return held;
  }

  /**
   * Returns the row of a job to go on with. One that another machine prepared or trained begins anew where
   * its weights were not left here.
   */
  async open(jobId: JobId): Promise<JobRow | undefined> {
    const { store, logger } = this.deps;
    const row = await store.jobs.find(jobId);
    if (!row || !usesWeights(row.state) || (await this.hasWeights(row))) return row;
    const reason = 'its weights are on another machine; it is prepared and trained anew';
    logger.warn('Job begins anew', { jobId, reason });
    await store.jobs.move(jobId, row.state, 'claimed', { reason });
    return store.jobs.find(jobId);
  }

  /** A job that could only be given back here is left to its own machine, which may return. */
  private async mayTake(jobId: JobId): Promise<boolean> {
    const { store, storage } = this.deps;
    const row = await store.jobs.find(jobId);
    if (!row || !usesWeights(row.state) || (await this.hasWeights(row))) return row !== undefined;
    return storage.size(row.dataset).then(
      () => true,
      () => false,
    );
  }

  private async hasWeights({ id, plan }: JobRow): Promise<boolean> {
    const last = await this.deps.store.rounds.latest(id);
    const theta = last?.nextTheta ?? last?.theta ?? JobPlan.parse(plan).theta0;
    return (await this.deps.blobs.stat(theta)) !== undefined;
  }
}

function usesWeights(state: JobState): state is 'preparing' | 'training' | 'exporting' {
  return state === 'preparing' || state === 'training' || state === 'exporting';
}
