/** Audits in the store: which leases were drawn, what was found when they were done again, and ordinals. */
import type { Kysely } from 'kysely';
import type { AuditableLease, AuditOutcome } from '../domain/audit';
import { Address, type JobId, Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { QueueTables } from './queue-schema';
import { isDuplicate } from './statements';

/** A merged lease that was drawn for an audit, with all that is needed to do it again. */
export interface DrawnLeaseRow {
  leaseId: string;
  round: number;
  worker: Address;
  start: number;
  end: number;
  shard: Sha256;
  update: Sha256;
  /** How long its worker was given. */
  grantedMs: number;
}

/** A lease done again, and how far its update was from the one that was merged. */
export interface AuditRow {
  leaseId: string;
  round: number;
  start: number;
  auditor: Address;
  update: Sha256;
  tokens: number;
  distance: number;
  outcome: AuditOutcome;
}

/** The audits of each job. What is still to be done follows from the drawn leases and the audits so far. */
export class Audits {
  constructor(
    private readonly db: Kysely<QueueTables>,
    private readonly clock: Clock,
  ) {}

  /** Keeps what an audit found; the same auditor's earlier word on the same lease stays. */
  async record(jobId: JobId, audit: AuditRow): Promise<void> {
    await this.db
      .insertInto('audits')
      .values({
        lease_id: audit.leaseId,
        auditor: audit.auditor,
        job_id: jobId,
        round: audit.round,
        start_pos: audit.start,
        update_sha256: audit.update,
        tokens: audit.tokens,
        distance: audit.distance,
        outcome: audit.outcome,
        done_at_ms: this.clock.now(),
      })
      .execute()
      .catch((error: unknown) => {
        if (!isDuplicate(error)) throw error;
      });
  }

  /** Lists what the audits of a job found, in the order of the leases and then of their ends. */
  async list(jobId: JobId): Promise<AuditRow[]> {
    const rows = await this.db
      .selectFrom('audits')
      .selectAll()
      .where('job_id', '=', jobId)
      .orderBy('round')
      .orderBy('start_pos')
      .orderBy('done_at_ms')
      .orderBy('auditor')
      .execute();
    return rows.map((row) => ({
      leaseId: row.lease_id,
      round: row.round,
      start: row.start_pos,
      auditor: Address.parse(row.auditor),
      update: Sha256.parse(row.update_sha256),
      tokens: row.tokens,
      distance: row.distance,
      outcome: row.outcome === 'equal' ? 'equal' : 'different',
    }));
  }

  /** Lists the drawn leases of a job, the oldest first. */
  async drawn(jobId: JobId): Promise<DrawnLeaseRow[]> {
    const rows = await this.db
      .selectFrom('leases')
      .selectAll()
      .where('job_id', '=', jobId)
      .where('state', '=', 'merged')
      .where('is_drawn', '=', 1)
      .orderBy('round')
      .orderBy('start_pos')
      .execute();
    return rows.map((row) => ({
      leaseId: row.id,
      round: row.round,
      worker: Address.parse(row.worker),
      start: row.start_pos,
      end: row.end_pos,
      shard: Sha256.parse(row.shard),
      update: Sha256.parse(row.update_sha256),
      grantedMs: row.expires_at_ms - row.granted_at_ms,
    }));
  }

  /** Lists the merged leases of a job as the rules of audits see them, each in its round. */
  async merged(jobId: JobId): Promise<AuditableLease[]> {
    const rows = await this.db
      .selectFrom('leases')
      .select(['worker', 'round', 'start_pos', 'tokens', 'ordinal'])
      .where('job_id', '=', jobId)
      .where('state', '=', 'merged')
      .orderBy('round')
      .orderBy('start_pos')
      .execute();
    return rows.map((row) => ({
      worker: Address.parse(row.worker),
      round: row.round,
      start: row.start_pos,
      tokens: row.tokens ?? 0,
      ordinal: row.ordinal ?? 1,
    }));
  }

  /** Returns how many leases of a worker have been merged in its life with this master. */
  async lastOrdinal(worker: Address): Promise<number> {
    const row = await this.db
      .selectFrom('leases')
      .select(({ fn }) => fn.max<number | null>('ordinal').as('last'))
      .where('worker', '=', worker)
      .executeTakeFirst();
    return Number(row?.last ?? 0);
  }
}
