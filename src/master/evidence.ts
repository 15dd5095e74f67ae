/** The evidence of a master's jobs: what stays so that anybody can repeat their work, and what goes first. */
import type { JobId, Sha256 } from '../domain/ids';
import { isActive, isTerminal } from '../domain/job';
import type { Logger } from '../lib/logger';
import type { JobRow } from '../store/jobs';
import { emptyJobDir, listJobDirs, removeJobDir } from './job-files';
import type { JobBlobs, JobStore } from './ports';

export interface EvidenceOptions {
  dataDir: string;
  /** Bytes of evidence from which on some of it goes. */
  evidenceBytes: number;
}

interface EvidenceDeps {
  store: {
    jobs: Pick<JobStore['jobs'], 'find'>;
    rounds: Pick<JobStore['rounds'], 'evidence' | 'find'>;
    audits: Pick<JobStore['audits'], 'drawn' | 'list'>;
  };
  blobs: Pick<JobBlobs, 'stat' | 'remove'>;
  logger: Logger;
}

/** A job that is over: what of it is still here. */
interface Settled {
  bytes: number;
  /** Its evidence and its result. */
  names: ReadonlySet<Sha256>;
}

/** Of a job with too much evidence, θ of each so many rounds stays. */
const THETA_EVERY = 8;
/** A round may be folded again from the outer state of the one before it, also by a restarted master. */
const NEWEST_OUTERS = 3;
/** Of older rounds, so many are looked at after each fold: an earlier process may have left some. */
const OLDER_OUTERS = 4;
/** Workers and evaluations may still need θ of the newest rounds. */
const NEWEST_ROUNDS = 8;

/**
 * Keeps the updates that were merged, and θ of each round. While all that is more than `evidenceBytes`, first
 * everything of the oldest jobs goes whose verdict is final, then most θ of the job that is training. Updates
 * of a job whose verdict is not final always stay. A job's folder stays as long as its evidence, so that a
 * restarted master finds it.
 */
export class EvidenceBook {
  /** Jobs that are over and have evidence here, the oldest first. */
  private readonly settled = new Map<JobId, Settled>();
  /** Bytes of the jobs that are training. */
  private readonly training = new Map<JobId, number>();

  constructor(
    private readonly options: EvidenceOptions,
    private readonly deps: EvidenceDeps,
  ) {}

  /** Takes up what an earlier process left, and tidies up after jobs that were over when it was killed. */
  async open(): Promise<void> {
    for (const jobId of await listJobDirs(this.options.dataDir)) {
      const job = await this.deps.store.jobs.find(jobId);
      if (job && !isActive(job.state)) await this.settle(job);
    }
  }

  /** Keeps of a job that is over what its verdict rests on; of a job without a submitted result, nothing. */
  async settle(job: Pick<JobRow, 'id' | 'state' | 'result'>): Promise<void> {
    const { id: jobId } = job;
    this.training.delete(jobId);
    if (!job.result || (job.state !== 'verified' && job.state !== 'failed')) return this.removeAll(job);
    const { updates, thetas, rest } = await this.deps.store.rounds.evidence(jobId);
    const isThin = (await this.thetaEvery(jobId)) !== undefined;
    const thinned = isThin ? thetas.filter((_, round) => round % THETA_EVERY !== 0) : [];
    await this.remove(jobId, [...rest, ...thinned], job.result.blobs);
    await emptyJobDir(this.options.dataDir, jobId);
    const names = new Set([...updates, ...thetas, ...job.result.blobs]);
    this.settled.set(jobId, { bytes: await this.sizeOf([...updates, ...thetas]), names });
    this.deps.logger.info('Job settled', { jobId, evidenceBytes: this.settled.get(jobId)?.bytes });
    await this.dropSettled();
  }

  /** Makes room after a fold, which added these blobs to a job's evidence. */
  async afterFold(jobId: JobId, added: readonly Sha256[]): Promise<void> {
    const known = this.training.get(jobId);
    const bytes = known === undefined ? await this.measure(jobId) : known + (await this.sizeOf(added));
    this.training.set(jobId, bytes);
    if (this.bytes() <= this.options.evidenceBytes) return;
    await this.dropSettled();
    if (this.bytes() > this.options.evidenceBytes) await this.thin(jobId);
  }

  /** Removes what no fold begins with any more: two numbers for each parameter and round. */
  async dropOuters(jobId: JobId, newest: number): Promise<void> {
    const kept = await this.outers(jobId, newest, NEWEST_OUTERS);
    const older = await this.outers(jobId, newest - NEWEST_OUTERS, OLDER_OUTERS);
    const gone = older.filter((name) => !kept.includes(name));
    if (gone.length > 0) await this.remove(jobId, gone, []);
  }

  /** Lists the outer states of so many rounds, the newest first. */
  private async outers(jobId: JobId, newest: number, count: number): Promise<Sha256[]> {
    const rounds = Array.from({ length: count }, (_, i) => newest - i).filter((round) => round >= 0);
    const rows = await Promise.all(rounds.map((round) => this.deps.store.rounds.find(jobId, round)));
    return rows.flatMap((row) => row?.outer ?? []);
  }

  /** Returns 8 for a job of which θ of every eighth round is kept; undefined when θ of each round is. */
  async thetaEvery(jobId: JobId): Promise<number | undefined> {
    const { thetas } = await this.deps.store.rounds.evidence(jobId);
    const found = await Promise.all(thetas.map((name) => this.deps.blobs.stat(name)));
    return found.every((stat) => stat !== undefined) ? undefined : THETA_EVERY;
  }

  private async thin(jobId: JobId): Promise<void> {
    const { thetas } = await this.deps.store.rounds.evidence(jobId);
    const audited = await this.awaitingAudit(jobId);
    const older = thetas.slice(0, -NEWEST_ROUNDS);
    const gone = older.filter((_, round) => round % THETA_EVERY !== 0 && !audited.has(round));
    const before = this.training.get(jobId);
    await this.remove(jobId, gone, []);
    this.training.set(jobId, await this.measure(jobId));
    const { evidenceBytes } = this.options;
    this.deps.logger.info('Evidence thinned', { jobId, before, bytes: this.training.get(jobId), evidenceBytes });
  }

  /** Returns the rounds with a drawn lease that no audit has found right yet: they are done again from θ. */
  private async awaitingAudit(jobId: JobId): Promise<ReadonlySet<number>> {
    const { audits } = this.deps.store;
    const done = await audits.list(jobId);
    const passed = new Set(done.flatMap(({ leaseId, outcome }) => (outcome === 'equal' ? [leaseId] : [])));
    const waiting = (await audits.drawn(jobId)).filter(({ leaseId }) => !passed.has(leaseId));
    return new Set(waiting.map(({ round }) => round));
  }

  /** Removes the evidence of the oldest jobs whose verdict is final, until the rest is within the limit. */
  private async dropSettled(): Promise<void> {
    for (const jobId of [...this.settled.keys()]) {
      if (this.bytes() <= this.options.evidenceBytes) return;
      const job = await this.deps.store.jobs.find(jobId);
      // The contract takes no challenge after a verdict, so a final verdict is the end of all doubt.
      if (job && isTerminal(job.chainState)) await this.removeAll(job);
    }
  }

  /** Leaves only model and manifest. The folder goes last, so that one that is there shows what is left. */
  private async removeAll({ id: jobId, result }: Pick<JobRow, 'id' | 'result'>): Promise<void> {
    const { updates, thetas, rest } = await this.deps.store.rounds.evidence(jobId);
    const merged = new Set(updates);
    const lasting = (result?.blobs ?? []).filter((name) => !merged.has(name));
    await this.remove(jobId, [...updates, ...thetas, ...rest], lasting);
    await removeJobDir(this.options.dataDir, jobId);
    this.settled.delete(jobId);
    this.deps.logger.info('Job files removed', { jobId });
  }

  /** Removes blobs, but none that lasts or that another job here has too: equal jobs have equal files. */
  private async remove(jobId: JobId, names: readonly Sha256[], lasting: readonly Sha256[]): Promise<void> {
    const used = new Set(lasting);
    for (const other of await listJobDirs(this.options.dataDir)) {
      if (other === jobId) continue;
      for (const name of await this.namesOf(other)) used.add(name);
    }
    for (const name of names) if (!used.has(name)) await this.deps.blobs.remove(name);
  }

  private async namesOf(jobId: JobId): Promise<Iterable<Sha256>> {
    const known = this.settled.get(jobId)?.names;
    if (known) return known;
    const { updates, thetas, rest } = await this.deps.store.rounds.evidence(jobId);
    return [...updates, ...thetas, ...rest];
  }

  private async measure(jobId: JobId): Promise<number> {
    const { updates, thetas } = await this.deps.store.rounds.evidence(jobId);
    return this.sizeOf([...updates, ...thetas]);
  }

  private async sizeOf(names: readonly Sha256[]): Promise<number> {
    const found = await Promise.all(names.map((name) => this.deps.blobs.stat(name)));
    return found.reduce((sum, stat) => sum + (stat?.bytes ?? 0), 0);
  }

  /** Returns the bytes of all evidence. */
  bytes(): number {
    const settled = [...this.settled.values()].map(({ bytes }) => bytes);
    return [...settled, ...this.training.values()].reduce((sum, bytes) => sum + bytes, 0);
  }
}
