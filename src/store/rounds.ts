/** The rounds in the store: what each round started and ended with, and its receipts. */
import type { Kysely, Selectable } from 'kysely';
import { Address, type JobId, Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { AppError } from '../lib/errors';
import { type Claimant, requireClaim } from './claimant';
import { weiToText } from './columns';
import { releaseLease } from './ledger-ranges';
import type { QueueTables, RoundsTable } from './queue-schema';
import { isDuplicate } from './statements';
import { inTransaction, lockLedger } from './transactions';

export interface RoundRow {
  round: number;
  state: 'open' | 'folded';
  /** θ_r, and θ_{r+1} once folded. */
  theta: Sha256;
  nextTheta?: Sha256 | undefined;
  delta?: Sha256 | undefined;
  /** The outer optimiser's state after this round. */
  outer?: Sha256 | undefined;
  scale?: number | undefined;
  validationLoss?: number | undefined;
  /** Its fold was checked and stands. */
  isConfirmed: boolean;
  /** The next fold starts without the outer optimiser's state. */
  resetsOuter: boolean;
}

export interface SignedReceipt {
  receipt: {
    worker: Address;
    tokens: number;
    totalTokens: number;
    auditTokens: number;
    heldTokens: number;
    expectedWei: bigint;
  };
  signature: string;
}

export interface Fold {
  jobId: JobId;
  round: number;
  nextTheta: Sha256;
  delta: Sha256;
  outer: Sha256;
  scale: number;
  /** The merged leases, each with its weight in the mean of the fold. */
  leases: readonly MergedLease[];
}

/** `mustAudit`: it is audited whether it is drawn or not. */
export interface MergedLease {
  leaseId: string;
  weight: number;
  mustAudit?: boolean | undefined;
}

/** A fold that takes the place of another one, of the same round, that was not confirmed. */
export interface Refold extends Fold {
  dropped: readonly string[];
  reason: string;
}

/** What becomes final of a round once its fold has been checked. */
export interface Confirmation {
  jobId: JobId;
  round: number;
  /** Undefined when it could not be measured. */
  validationLoss: number | undefined;
  resetsOuter: boolean;
  leases: readonly { leaseId: string; ordinal: number; isDrawn: boolean }[];
  receipts: readonly SignedReceipt[];
}

export type RoundsError =
  | { code: 'store/lease-not-committed'; leaseId: string; jobId: string; round: number }
  | { code: 'store/round-not-open'; jobId: string; round: number }
  | { code: 'store/round-confirmed'; jobId: string; round: number };

/** The blobs that the training of a job made. */
export interface JobEvidence {
  /** The updates that were merged; with them anybody can repeat all folds. */
  updates: Sha256[];
  /** θ_r of each round r, and the last θ. */
  thetas: Sha256[];
  /** What follows from the others, or was not merged: shards, steps, optimiser states, updates. */
  rest: Sha256[];
}

/** The rounds of each job, and the receipts they led to. */
export class Rounds {
  constructor(
    private readonly db: Kysely<QueueTables>,
    private readonly clock: Clock,
    private readonly claimant?: Claimant | undefined,
  ) {}

  /** Forgets all training of a job, which begins anew. */
  async clear(jobId: JobId): Promise<void> {
    await inTransaction(this.db, async (tx) => {
      await requireClaim(tx, jobId, this.claimant);
      for (const table of ['audits', 'receipts', 'rounds', 'leases', 'ledger'] as const) {
        await tx.deleteFrom(table).where('job_id', '=', jobId).execute();
      }
    });
  }

  /**
   * Takes back, in one transaction, whatever is not confirmed: rounds that are open or whose fold was not
   * checked, and their leases. Returns how many rounds are left.
   */
  async keepConfirmed(jobId: JobId, reason: string): Promise<number> {
    return inTransaction(this.db, async (tx) => {
      await lockLedger(tx, jobId, this.claimant);
      const rounds = await tx.selectFrom('rounds').selectAll().where('job_id', '=', jobId).orderBy('round').execute();
      const first = rounds.findIndex((row) => row.confirmed_at_ms === null);
      const kept = first < 0 ? rounds.length : first;
      const later = tx.selectFrom('leases').select('id').where('job_id', '=', jobId).where('round', '>=', kept);
      for (const { id } of await later.execute()) {
        await releaseLease(tx, jobId, id, { reason, from: ['leased', 'committed', 'merged'] });
      }
      await tx.deleteFrom('rounds').where('job_id', '=', jobId).where('round', '>=', kept).execute();
      return kept;
    });
  }

  /** Opens a round that starts at θ; an open round stays as it is. */
  async open(jobId: JobId, round: number, theta: Sha256): Promise<void> {
    if (await this.find(jobId, round)) return;
    await this.db
      .insertInto('rounds')
      .values({ job_id: jobId, round, state: 'open', theta, opened_at_ms: this.clock.now() })
      .execute()
      .catch((error: unknown) => {
        if (!isDuplicate(error)) throw error;
      });
  }

  /**
   * Folds a round in one transaction: the round becomes folded, its leases and their blocks merged. Throws,
   * and changes nothing, if the round is not open or a lease has no committed work of this round.
   */
  async fold(fold: Fold): Promise<void> {
    await inTransaction(this.db, async (tx) => {
      await lockLedger(tx, fold.jobId, this.claimant);
      await this.closeRound(tx, fold);
      for (const lease of fold.leases) await mergeLease(tx, fold, lease);
    });
  }

  /**
   * Replaces the fold of a round that is not confirmed, in one transaction: the dropped leases' blocks are
   * available again, and so is all that was leased of the round after it.
   */
  async refold(refold: Refold): Promise<void> {
    const { jobId, round, dropped, reason } = refold;
    await inTransaction(this.db, async (tx) => {
      await lockLedger(tx, jobId, this.claimant);
      await this.requireUnconfirmed(tx, refold);
      const later = await tx
        .selectFrom('leases')
        .select('id')
        .where('job_id', '=', jobId)
        .where('round', '>', round)
        .where('state', 'in', ['leased', 'committed'])
        .execute();
      const recalled = { reason: `round ${round} was folded again`, from: ['leased', 'committed'] } as const;
      for (const { id } of later) await releaseLease(tx, jobId, id, recalled);
      for (const leaseId of dropped) await releaseLease(tx, jobId, leaseId, { reason, from: ['merged'] });
      await tx.deleteFrom('rounds').where('job_id', '=', jobId).where('round', '>', round).execute();
      await tx
        .updateTable('rounds')
        .set(foldColumns(refold))
        .where('job_id', '=', jobId)
        .where('round', '=', round)
        .execute();
      for (const { leaseId, weight } of refold.leases) {
        await tx.updateTable('leases').set({ weight }).where('id', '=', leaseId).execute();
      }
    });
  }

  /**
   * Makes a fold final in one transaction: ordinals and draws of its leases, and the receipts. Does nothing
   * when that is done already.
   */
  async confirm({ jobId, round, validationLoss, resetsOuter, leases, receipts }: Confirmation): Promise<void> {
    await inTransaction(this.db, async (tx) => {
      await lockLedger(tx, jobId, this.claimant);
      const { numUpdatedRows } = await tx
        .updateTable('rounds')
        .set({
          confirmed_at_ms: this.clock.now(),
          resets_outer: resetsOuter ? 1 : 0,
          ...(validationLoss === undefined ? {} : { validation_loss: validationLoss }),
        })
        .where('job_id', '=', jobId)
        .where('round', '=', round)
        .where('confirmed_at_ms', 'is', null)
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return;
      for (const { leaseId, ordinal, isDrawn } of leases) {
        const draw = isDrawn ? { is_drawn: 1 } : {};
        await tx
          .updateTable('leases')
          .set({ ordinal, ...draw })
          .where('id', '=', leaseId)
          .execute();
      }
      for (const signed of receipts) await saveReceipt(tx, { jobId, round }, signed);
    });
  }

  async find(jobId: JobId, round: number): Promise<RoundRow | undefined> {
    const row = await this.db
      .selectFrom('rounds')
      .selectAll()
      .where('job_id', '=', jobId)
      .where('round', '=', round)
      .executeTakeFirst();
    return row && parseRound(row);
  }

  async list(jobId: JobId): Promise<RoundRow[]> {
    const rows = await this.db.selectFrom('rounds').selectAll().where('job_id', '=', jobId).orderBy('round').execute();
    return rows.map(parseRound);
  }

  async latest(jobId: JobId): Promise<RoundRow | undefined> {
    return (await this.list(jobId)).at(-1);
  }

  /** Returns the tokens of each worker merged into the job so far. */
  async tokensByWorker(jobId: JobId): Promise<Map<Address, number>> {
    const rows = await this.db
      .selectFrom('leases')
      .select(({ fn }) => ['worker', fn.sum<number | string>('tokens').as('tokens')])
      .where('job_id', '=', jobId)
      .where('state', '=', 'merged')
      .groupBy('worker')
      .execute();
    return new Map(rows.map((row) => [Address.parse(row.worker), Number(row.tokens)]));
  }

  /** Lists the blobs that the training of a job made. */
  async evidence(jobId: JobId): Promise<JobEvidence> {
    const rounds = await this.db
      .selectFrom('rounds')
      .selectAll()
      .where('job_id', '=', jobId)
      .orderBy('round')
      .execute();
    const leases = await this.db.selectFrom('leases').selectAll().where('job_id', '=', jobId).execute();
    const audits = await this.db.selectFrom('audits').selectAll().where('job_id', '=', jobId).execute();
    const unmerged = leases.filter(({ state }) => state !== 'merged');
    const last = rounds.at(-1)?.next_theta ?? null;
    const updates = toNames(leases.filter(({ state }) => state === 'merged').map((row) => row.update_sha256));
    const thetas = toNames([...rounds.map((row) => row.theta), last]);
    const others = toNames([
      ...rounds.flatMap((row) => [row.delta, row.outer_state]),
      ...leases.map((row) => row.shard),
      ...[...unmerged, ...audits].map((row) => row.update_sha256),
    ]);
    const kept = new Set([...updates, ...thetas]);
    return { updates: [...new Set(updates)], thetas, rest: [...new Set(others)].filter((name) => !kept.has(name)) };
  }

  private async closeRound(tx: Kysely<QueueTables>, fold: Fold): Promise<void> {
    const { jobId, round } = fold;
    const { numUpdatedRows } = await tx
      .updateTable('rounds')
      .set({ ...foldColumns(fold), state: 'folded', folded_at_ms: this.clock.now() })
      .where('job_id', '=', jobId)
      .where('round', '=', round)
      .where('state', '=', 'open')
      .executeTakeFirst();
    if (numUpdatedRows === 1n) return;
    throw new AppError<RoundsError>(
      { code: 'store/round-not-open', jobId, round },
      `Round ${round} of job ${jobId} is not open; it cannot be folded.`,
    );
  }

  private async requireUnconfirmed(tx: Kysely<QueueTables>, { jobId, round }: Fold): Promise<void> {
    const row = await tx
      .selectFrom('rounds')
      .select(['state', 'confirmed_at_ms'])
      .where('job_id', '=', jobId)
      .where('round', '=', round)
      .executeTakeFirst();
    if (row?.state === 'folded' && row.confirmed_at_ms === null) return;
    throw new AppError<RoundsError>(
      { code: 'store/round-confirmed', jobId, round },
      `The fold of round ${round} of job ${jobId} is final; it cannot be replaced.`,
    );
  }
}

function foldColumns({ nextTheta, delta, outer, scale }: Fold) {
  return { next_theta: nextTheta, delta, outer_state: outer, scale };
}

async function mergeLease(
  tx: Kysely<QueueTables>,
  { jobId, round }: Fold,
  { leaseId, weight, mustAudit }: MergedLease,
): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('leases')
    .set({ state: 'merged', weight, ...(mustAudit ? { is_drawn: 1 } : {}) })
    .where('id', '=', leaseId)
    .where('job_id', '=', jobId)
    .where('round', '=', round)
    .where('state', '=', 'committed')
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) {
    throw new AppError<RoundsError>(
      { code: 'store/lease-not-committed', leaseId, jobId, round },
      `Lease ${leaseId} has no committed work for round ${round} of job ${jobId}; nothing was folded.`,
    );
  }
  await tx
    .updateTable('ledger')
    .set({ state: 'MERGED', round })
    .where('job_id', '=', jobId)
    .where('lease_id', '=', leaseId)
    .execute();
}

async function saveReceipt(
  tx: Kysely<QueueTables>,
  { jobId, round }: Pick<Confirmation, 'jobId' | 'round'>,
  { receipt, signature }: SignedReceipt,
): Promise<void> {
  const { worker, tokens, totalTokens, auditTokens, heldTokens, expectedWei } = receipt;
  await tx
    .insertInto('receipts')
    .values({
      job_id: jobId,
      round,
      worker,
      tokens,
      total_tokens: totalTokens,
      audit_tokens: auditTokens,
      held_tokens: heldTokens,
      expected_wei: weiToText(expectedWei),
      signature,
    })
    .execute();
}

function parseRound(row: Selectable<RoundsTable>): RoundRow {
  const sha = (text: string | null) => (text === null ? undefined : Sha256.parse(text));
  return {
    round: row.round,
    state: row.state === 'folded' ? 'folded' : 'open',
    theta: Sha256.parse(row.theta),
    nextTheta: sha(row.next_theta),
    delta: sha(row.delta),
    outer: sha(row.outer_state),
    scale: row.scale ?? undefined,
    validationLoss: row.validation_loss ?? undefined,
    isConfirmed: row.confirmed_at_ms !== null,
    resetsOuter: row.resets_outer === 1,
  };
}

function toNames(texts: readonly (string | null)[]): Sha256[] {
  return texts.filter((text) => text !== null).map((text) => Sha256.parse(text));
}
