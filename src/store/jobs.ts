import type { Kysely, Selectable, Updateable } from 'kysely';
import { z } from 'zod';
import { Address, JobId, Sha256, Wei } from '../domain/ids';
import { type ChainState, canMove, isTerminal, type JobState } from '../domain/job';
import type { Share } from '../domain/shares';
import type { Clock } from '../lib/clock';
import { AppError } from '../lib/errors';
import { type JobsTable, type Tables, textToWei, weiToText } from './schema';
import { inTransaction } from './transactions';

/** What a job's run will submit, kept from export to pay. */
export interface StoredResult {
  manifest: Sha256;
  fuelUsed: bigint;
  payoutRoot: string;
  shares: Share[];
  /** The model's files and the manifest: what must stay. */
  blobs: Sha256[];
}

export interface JobRow {
  id: JobId;
  requester: Address;
  dataset: string;
  params: string;
  feeWei: bigint;
  fuelLimit: bigint;
  deadlineMs: number;
  requestedBlock: number;
  chainState: ChainState;
  /** The node that took it on chain. */
  node?: Address | undefined;
  state: JobState;
  /** The master that claimed the row. */
  owner?: Address | undefined;
  /** Why it is in this state, for people. */
  reason?: string | undefined;
  /** The master's plan; its shape is the master's business. */
  plan?: unknown;
  result?: StoredResult | undefined;
}

export type NewJob = Pick<
  JobRow,
  'id' | 'requester' | 'dataset' | 'params' | 'feeWei' | 'fuelLimit' | 'deadlineMs' | 'requestedBlock'
>;

export interface JobFacts {
  reason?: string | undefined;
  plan?: unknown;
  result?: StoredResult | undefined;
}

export interface JobFilter {
  states?: readonly JobState[] | undefined;
  chainStates?: readonly ChainState[] | undefined;
  owner?: Address | undefined;
  limit?: number | undefined;
  offset?: number | undefined;
}

export type JobsError = { code: 'store/forbidden-move'; jobId: string; from: JobState; to: JobState };

const Result = z.object({
  manifest: Sha256,
  fuelUsed: Wei,
  payoutRoot: z.string(),
  shares: z.array(z.object({ index: z.int(), worker: Address, amountWei: Wei, tokens: z.int() })),
  blobs: z.array(Sha256),
});

/** The queue: one row per job of the chain, and the history of its moves. */
export class Jobs {
  constructor(
    private readonly db: Kysely<Tables>,
    private readonly clock: Clock,
  ) {}

  /** Adds a job to the queue; a job already known stays as it is. Returns whether it was new. */
  saveRequested(job: NewJob): Promise<boolean> {
    return inTransaction(this.db, (tx) => this.insert(tx, job));
  }

  private async insert(tx: Kysely<Tables>, job: NewJob): Promise<boolean> {
    const known = await tx.selectFrom('jobs').select('id').where('id', '=', job.id).executeTakeFirst();
    if (known) return false;
    const atMs = this.clock.now();
    const inserted = await tx
      .insertInto('jobs')
      .values({
        id: job.id,
        requester: job.requester,
        dataset: job.dataset,
        params: job.params,
        fee_wei: weiToText(job.feeWei),
        fuel_limit: weiToText(job.fuelLimit),
        deadline_ms: job.deadlineMs,
        requested_block: job.requestedBlock,
        chain_state: 'REQUESTED',
        state: 'queued',
        created_at_ms: atMs,
        updated_at_ms: atMs,
      })
      .executeTakeFirst()
      .catch((error: unknown) => {
        if (isDuplicate(error)) return undefined; // another master on the same database was faster
        throw error;
      });
    if (!inserted) return false;
    await this.record(tx, job.id, 'queued', undefined);
    return true;
  }

  /**
   * Notes what the chain says of a job. A terminal state is never left, and a job nobody of ours works on follows the chain:
   * taken by another node or ended, it leaves the queue.
   */
  async applyChainState(
    id: JobId,
    chainState: ChainState,
    facts: { node?: Address | undefined } = {},
  ): Promise<boolean> {
    const row = await this.find(id);
    if (!row || isTerminal(row.chainState)) return false;
    const { numUpdatedRows } = await this.db
      .updateTable('jobs')
      .set({ chain_state: chainState, ...(facts.node ? { node: facts.node } : {}), updated_at_ms: this.clock.now() })
      .where('id', '=', id)
      .where('chain_state', '=', row.chainState)
      .executeTakeFirst();
    // Another master on the same database noted something meanwhile, perhaps an end.
    if (numUpdatedRows !== 1n) return this.applyChainState(id, chainState, facts);
    const idle = row.state === 'queued' || row.state === 'skipped';
    if (idle && isTerminal(chainState)) {
      await this.move(id, row.state, 'failed', { reason: `the chain says ${chainState}` });
    } else if (row.state === 'queued' && chainState === 'PROCESSING') {
      await this.move(id, 'queued', 'skipped', { reason: `taken by node ${facts.node ?? 'unknown'}` });
    }
    return row.chainState !== chainState;
  }

  async find(id: JobId): Promise<JobRow | undefined> {
    const row = await this.db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst();
    return row && parseRow(row);
  }

  /** Best paid first. */
  async list(filter: JobFilter = {}): Promise<JobRow[]> {
    let query = this.db.selectFrom('jobs').selectAll().orderBy('fee_wei', 'desc').orderBy('id');
    if (filter.states) query = query.where('state', 'in', [...filter.states]);
    if (filter.chainStates) query = query.where('chain_state', 'in', [...filter.chainStates]);
    if (filter.owner) query = query.where('owner', '=', filter.owner);
    const rows = await query
      .limit(filter.limit ?? 1000)
      .offset(filter.offset ?? 0)
      .execute();
    return rows.map(parseRow);
  }

  /** Takes a queued job for a master. Of any number of masters on one database exactly one gets `true`. */
  claim(id: JobId, owner: Address): Promise<boolean> {
    return this.change(id, 'queued', 'claimed', { owner, reason: null });
  }

  /**
   * Moves a job, with new facts, if it is still in `from`. Returns whether it was. Throws `store/forbidden-move` for a move that
   * the transition table does not have.
   */
  async move(id: JobId, from: JobState, to: JobState, facts: JobFacts = {}): Promise<boolean> {
    if (!canMove(from, to)) {
      throw new AppError<JobsError>(
        { code: 'store/forbidden-move', jobId: id, from, to },
        `Job ${id} cannot move from ${from} to ${to}.`,
      );
    }
    return this.change(id, from, to, {
      reason: facts.reason ?? null,
      ...(facts.plan === undefined ? {} : { plan_json: JSON.stringify(facts.plan) }),
      ...(facts.result === undefined ? {} : { result_json: stringifyWei(facts.result) }),
      ...(to === 'queued' ? { owner: null } : {}),
    });
  }

  /** Every move of a job, oldest first. */
  async history(id: JobId): Promise<{ state: string; atMs: number; reason?: string | undefined }[]> {
    const rows = await this.db.selectFrom('job_events').selectAll().where('job_id', '=', id).orderBy('id').execute();
    return rows.map((row) => ({ state: row.state, atMs: row.at_ms, ...(row.reason ? { reason: row.reason } : {}) }));
  }

  /** The state and its line in the history, both or neither. */
  private change(id: JobId, from: JobState, to: JobState, values: Updateable<JobsTable>): Promise<boolean> {
    return inTransaction(this.db, async (tx) => {
      const { numUpdatedRows } = await tx
        .updateTable('jobs')
        .set({ ...values, state: to, updated_at_ms: this.clock.now() })
        .where('id', '=', id)
        .where('state', '=', from)
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return false;
      await this.record(tx, id, to, values.reason ?? undefined);
      return true;
    });
  }

  private async record(tx: Kysely<Tables>, jobId: JobId, state: JobState, reason: string | undefined): Promise<void> {
    await tx
      .insertInto('job_events')
      .values({ job_id: jobId, state, reason: reason ?? null, at_ms: this.clock.now() })
      .execute();
  }
}

function parseRow(row: Selectable<JobsTable>): JobRow {
  return {
    id: JobId.parse(row.id),
    requester: Address.parse(row.requester),
    dataset: row.dataset,
    params: row.params,
    feeWei: textToWei(row.fee_wei),
    fuelLimit: textToWei(row.fuel_limit),
    deadlineMs: row.deadline_ms,
    requestedBlock: row.requested_block,
    chainState: row.chain_state as ChainState,
    node: row.node === null ? undefined : Address.parse(row.node),
    state: row.state as JobState,
    owner: row.owner === null ? undefined : Address.parse(row.owner),
    reason: row.reason ?? undefined,
    plan: row.plan_json === null ? undefined : JSON.parse(row.plan_json),
    result: row.result_json === null ? undefined : Result.parse(JSON.parse(row.result_json)),
  };
}

function stringifyWei(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => (typeof member === 'bigint' ? member.toString() : member));
}

/** A unique key was already there, in the words of either database. */
export function isDuplicate(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === 'ER_DUP_ENTRY' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY' || code === 'SQLITE_CONSTRAINT_UNIQUE';
}
