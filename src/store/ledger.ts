/** The ledger in the store: which blocks of a job are available, leased or merged, and the leases. */
import type { Kysely, Selectable } from 'kysely';
import { Address, JobId, Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { LedgerAudit } from '../protocol/admin';
import { DeviceKind } from '../protocol/device-kind';
import { TrainedUpdate } from '../protocol/update';
import { type Claimant, requireClaim } from './claimant';
import { type LedgerRange, releaseLease, setRange } from './ledger-ranges';
import type { LeasesTable, QueueTables } from './queue-schema';
import { inTransaction, lockLedger } from './transactions';

export type LeaseState = 'leased' | 'committed' | 'released' | 'merged';

export interface LeaseRow {
  leaseId: string;
  jobId: JobId;
  round: number;
  worker: Address;
  /** Positions [start, end). */
  start: number;
  end: number;
  state: LeaseState;
  grantedAtMs: number;
  expiresAtMs: number;
  shard?: Sha256 | undefined;
  /** What the worker committed. */
  work?: TrainedUpdate | undefined;
  /** Its weight in the mean of the fold, once merged. */
  weight?: number | undefined;
  /** Which merged lease of its worker's life with this master it is, once its round is confirmed. */
  ordinal?: number | undefined;
  /** What its worker said it trains on. */
  deviceKind?: DeviceKind | undefined;
  /** It is to be done a second time. */
  isDrawn: boolean;
  reason?: string | undefined;
}

export interface Grant {
  leaseId: string;
  jobId: JobId;
  round: number;
  worker: Address;
  /** What the worker says it trains on; undefined when it is not connected any more. */
  deviceKind?: DeviceKind | undefined;
  /** Upper limit of the number of blocks. */
  blocks: number;
  expiresAtMs: number;
}

/**
 * Which blocks of a job are AVAILABLE, LEASED or MERGED. The ranges of a job always partition [0, total):
 * they are split when leased and joined again when returned. MERGED is final once its round is confirmed.
 * Methods that write several rows open a transaction of their own, unless the database handle is inside one.
 */
export class Ledger {
  constructor(
    private readonly db: Kysely<QueueTables>,
    private readonly clock: Clock,
    private readonly claimant?: Claimant | undefined,
  ) {}

  /** Makes all blocks of a job available; an existing ledger stays as it is. */
  async initialise(jobId: JobId, totalBlocks: number): Promise<void> {
    const known = await this.db.selectFrom('ledger').select('job_id').where('job_id', '=', jobId).executeTakeFirst();
    if (known) return;
    await this.db
      .insertInto('ledger')
      .values({ job_id: jobId, start_pos: 0, end_pos: totalBlocks, state: 'AVAILABLE' })
      .execute();
  }

  available(jobId: JobId): Promise<number> {
    return this.countBlocks(jobId, 'AVAILABLE');
  }

  merged(jobId: JobId): Promise<number> {
    return this.countBlocks(jobId, 'MERGED');
  }

  /**
   * Leases the lowest available blocks: contiguous, at most as many as asked for. Returns undefined if there
   * are none.
   */
  async grant(grant: Grant): Promise<{ start: number; end: number } | undefined> {
    return inTransaction(this.db, async (tx) => {
      await lockLedger(tx, grant.jobId, this.claimant);
      const row = await tx
        .selectFrom('ledger')
        .selectAll()
        .where('job_id', '=', grant.jobId)
        .where('state', '=', 'AVAILABLE')
        .orderBy('start_pos')
        .executeTakeFirst();
      if (!row) return undefined;
      const start = row.start_pos;
      const end = Math.min(row.end_pos, start + grant.blocks);
      const range = { start, end };
      await setRange(tx, grant.jobId, range, { state: 'LEASED', lease_id: grant.leaseId, round: grant.round });
      if (end < row.end_pos) {
        await tx
          .insertInto('ledger')
          .values({ job_id: grant.jobId, start_pos: end, end_pos: row.end_pos, state: 'AVAILABLE' })
          .execute();
      }
      await tx
        .insertInto('leases')
        .values(newLease(grant, range, this.clock.now()))
        .execute();
      return range;
    });
  }

  async setShard(leaseId: string, shard: Sha256): Promise<void> {
    await this.db.updateTable('leases').set({ shard }).where('id', '=', leaseId).execute();
  }

  /**
   * Stores a worker's finished work. `stale`: the lease no longer belongs to this worker; `duplicate`: the
   * work is stored already.
   */
  async commit(leaseId: string, worker: Address, work: TrainedUpdate): Promise<'committed' | 'duplicate' | 'stale'> {
    const known = await this.findLease(leaseId);
    if (!known) return 'stale';
    return inTransaction(this.db, async (tx) => {
      await requireClaim(tx, known.jobId, this.claimant);
      const { numUpdatedRows } = await tx
        .updateTable('leases')
        .set({
          state: 'committed',
          update_sha256: work.update.sha256,
          update_bytes: work.update.bytes,
          tokens: work.tokens,
          loss: work.loss,
          loss_curve_json: JSON.stringify(work.lossCurve),
          seconds: work.seconds,
          end_theta: work.endTheta,
        })
        .where('id', '=', leaseId)
        .where('worker', '=', worker)
        .where('state', '=', 'leased')
        .executeTakeFirst();
      if (numUpdatedRows === 1n) return 'committed';
      const lease = await new Ledger(tx, this.clock).findLease(leaseId);
      const same = lease?.worker === worker && lease.work?.update.sha256 === work.update.sha256;
      return same && lease.state !== 'released' ? 'duplicate' : 'stale';
    });
  }

  /** Returns a lease's blocks to the job; false if they were merged or returned before. */
  async release(leaseId: string, reason: string): Promise<boolean> {
    const jobId = (await this.findLease(leaseId))?.jobId;
    if (!jobId) return false;
    return inTransaction(this.db, async (tx) => {
      await lockLedger(tx, jobId, this.claimant);
      return releaseLease(tx, jobId, leaseId, { reason, from: ['leased', 'committed'] });
    });
  }

  async findLease(leaseId: string): Promise<LeaseRow | undefined> {
    const row = await this.db.selectFrom('leases').selectAll().where('id', '=', leaseId).executeTakeFirst();
    return row && parseLease(row);
  }

  /** Lists the leases of a job, or of one of its rounds, in the order they were granted. */
  async listLeases(jobId: JobId, round?: number): Promise<LeaseRow[]> {
    let query = this.db.selectFrom('leases').selectAll().where('job_id', '=', jobId);
    if (round !== undefined) query = query.where('round', '=', round);
    const rows = await query.orderBy('round').orderBy('granted_at_ms').orderBy('start_pos').execute();
    return rows.map(parseLease);
  }

  /** Lists the ranges of a job in order, for the audit and for tests. */
  async listRanges(
    jobId: JobId,
  ): Promise<{ start: number; end: number; state: string; leaseId: string | undefined }[]> {
    const rows = await this.db
      .selectFrom('ledger')
      .selectAll()
      .where('job_id', '=', jobId)
      .orderBy('start_pos')
      .execute();
    return rows.map((row) => ({
      start: row.start_pos,
      end: row.end_pos,
      state: row.state,
      leaseId: row.lease_id ?? undefined,
    }));
  }

  /**
   * Counts how often each block was merged in each epoch, from the merged leases rather than from the ranges,
   * whose end is the number of blocks. A finished job has 1 everywhere.
   */
  async audit(jobId: JobId, epochBlocks: number): Promise<LedgerAudit> {
    const ranges = await this.listRanges(jobId);
    const blocks = ranges.at(-1)?.end ?? 0;
    const counts = new Uint16Array(blocks);
    for (const lease of await this.listLeases(jobId)) {
      if (lease.state !== 'merged') continue;
      for (let p = lease.start; p < lease.end; p++) counts[p] = (counts[p] ?? 0) + 1;
    }
    const epochs = Math.ceil(blocks / epochBlocks);
    const perEpoch = Array.from({ length: epochs }, (_, epoch) => {
      const part = counts.subarray(epoch * epochBlocks, (epoch + 1) * epochBlocks);
      return { epoch, blocks: part.length, ...extremes(part) };
    });
    const { min, max } = extremes(counts);
    return { blocks, epochs, perEpoch, minMerged: min, maxMerged: max };
  }

  private async countBlocks(jobId: JobId, state: string): Promise<number> {
    const row = await this.db
      .selectFrom('ledger')
      .select(({ fn }) => [
        fn.sum<number | string | null>('end_pos').as('ends'),
        fn.sum<number | string | null>('start_pos').as('starts'),
      ])
      .where('job_id', '=', jobId)
      .where('state', '=', state)
      .executeTakeFirstOrThrow();
    return Number(row.ends ?? 0) - Number(row.starts ?? 0);
  }
}

function newLease(grant: Grant, range: LedgerRange, grantedAtMs: number) {
  return {
    id: grant.leaseId,
    job_id: grant.jobId,
    round: grant.round,
    worker: grant.worker,
    device_kind: grant.deviceKind ?? null,
    start_pos: range.start,
    end_pos: range.end,
    state: 'leased',
    granted_at_ms: grantedAtMs,
    expires_at_ms: grant.expiresAtMs,
  };
}

function parseLease(row: Selectable<LeasesTable>): LeaseRow {
  return {
    leaseId: row.id,
    jobId: JobId.parse(row.job_id),
    round: row.round,
    worker: Address.parse(row.worker),
    start: row.start_pos,
    end: row.end_pos,
    state: row.state as LeaseState,
    grantedAtMs: row.granted_at_ms,
    expiresAtMs: row.expires_at_ms,
    shard: row.shard === null ? undefined : Sha256.parse(row.shard),
    work: parseWork(row),
    weight: row.weight ?? undefined,
    ordinal: row.ordinal ?? undefined,
    deviceKind: row.device_kind === null ? undefined : DeviceKind.parse(row.device_kind),
    isDrawn: row.is_drawn === 1,
    reason: row.reason ?? undefined,
  };
}

/** Returns undefined until the lease is committed; a commit writes all these columns at once. */
function parseWork(row: Selectable<LeasesTable>): TrainedUpdate | undefined {
  if (row.update_sha256 === null) return undefined;
  return TrainedUpdate.parse({
    update: { sha256: row.update_sha256, bytes: row.update_bytes },
    tokens: row.tokens,
    loss: row.loss,
    lossCurve: JSON.parse(row.loss_curve_json ?? '[]'),
    seconds: row.seconds,
    endTheta: row.end_theta,
  });
}

function extremes(counts: Uint16Array): { min: number; max: number } {
  if (counts.length === 0) return { min: 0, max: 0 };
  return counts.reduce((seen, count) => ({ min: Math.min(seen.min, count), max: Math.max(seen.max, count) }), {
    min: Number.POSITIVE_INFINITY,
    max: 0,
  });
}
