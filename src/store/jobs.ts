/** The queue in the store: one row per job of the chain, and the history of its states. */
import { isDeepStrictEqual } from 'node:util';
import { type Insertable, type Kysely, MysqlAdapter, type Selectable, type Updateable } from 'kysely';
import { z } from 'zod';
import type { ChainMove, NewJob } from '../domain/chain-move';
import { Address, JobId, Sha256, Wei } from '../domain/ids';
import { type ChainState, canMove, isActive, isTerminal, type JobState } from '../domain/job';
import type { Share } from '../domain/shares';
import type { Clock } from '../lib/clock';
import { AppError } from '../lib/errors';
import { type Claimant, databaseNow, requireClaim } from './claimant';
import { textToWei, weiToText } from './columns';
import type { JobEventsTable, JobsTable, QueueTables } from './queue-schema';
import { inParts } from './statements';
import { inTransaction, lockChainEvents } from './transactions';

/** The result of a job, kept from export until everybody is paid. */
export interface StoredResult {
  manifest: Sha256;
  fuelUsed: bigint;
  payoutRoot: string;
  shares: Share[];
  /** The model's files and the manifest; they are never cleaned up. */
  blobs: Sha256[];
}

/** A job in the queue. Its own id is `id`; rows of other tables refer to it as `jobId`. */
export interface JobRow extends NewJob {
  chainState: ChainState;
  /** The node that took the job on chain. */
  node?: Address | undefined;
  state: JobState;
  /** The master that claimed the row. */
  owner?: Address | undefined;
  /** Why the job is in this state, for people. */
  reason?: string | undefined;
  /** When a skipped job is considered again; undefined: not before somebody says so. */
  lookAtMs?: number | undefined;
  /** When this queue heard of the job. */
  createdAtMs: number;
  /** The master's plan; only the master knows its format. */
  plan?: unknown;
  result?: StoredResult | undefined;
}

export interface JobFacts {
  reason?: string | undefined;
  lookAtMs?: number | undefined;
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

/** A state in which a job can be claimed. */
export type ClaimableState = 'queued' | 'skipped' | 'failed' | 'declined';

export type JobsError = { code: 'store/forbidden-move'; jobId: string; from: JobState; to: JobState };

const Result = z.object({
  manifest: Sha256,
  fuelUsed: Wei,
  payoutRoot: z.string(),
  shares: z.array(z.object({ index: z.int(), worker: Address, amountWei: Wei, tokens: z.int() })),
  blobs: z.array(Sha256),
});

/** The jobs of the queue. */
export class Jobs {
  constructor(
    private readonly db: Kysely<QueueTables>,
    private readonly clock: Clock,
    private readonly claimant?: Claimant | undefined,
  ) {}

  /**
   * Applies the chain's moves to the queue, in the order of the chain. A request adds a job unless it exists;
   * other moves of an unknown job are ignored. Applying the same moves again writes nothing, except that a
   * job which a master has put back into the queue meanwhile leaves it again. Returns the ids of new jobs.
   */
  applyChain(moves: readonly ChainMove[]): Promise<JobId[]> {
    return inTransaction(this.db, async (tx) => {
      await lockChainEvents(tx);
      const byJob = new Map<JobId, ChainMove[]>(moves.map(({ jobId }) => [jobId, []]));
      for (const move of moves) byJob.get(move.jobId)?.push(move);
      const added: JobId[] = [];
      for (const part of inParts([...byJob])) added.push(...(await this.applyPart(tx, part)));
      return added;
    });
  }

  /**
   * Reading years of a chain yields mostly new jobs, so these take one statement and their history another.
   */
  private async applyPart(tx: Kysely<QueueTables>, part: readonly [JobId, ChainMove[]][]): Promise<JobId[]> {
    const known = await lockFollowed(
      tx,
      part.map(([id]) => id),
    );
    const atMs = this.clock.now();
    const added: Insertable<JobsTable>[] = [];
    const history: Insertable<JobEventsTable>[] = [];
    for (const [id, moves] of part) {
      const before = known.get(id);
      const { after, request, changes } = follow(before, moves);
      if (!after || isDeepStrictEqual(after, before)) continue;
      history.push(...changes.map((change) => ({ job_id: id, ...change, at_ms: atMs })));
      if (request) added.push({ ...newRow(request), ...after, created_at_ms: atMs, updated_at_ms: atMs });
      else
        await tx
          .updateTable('jobs')
          .set({ ...after, updated_at_ms: atMs })
          .where('id', '=', id)
          .execute();
    }
    if (added.length > 0) await tx.insertInto('jobs').values(added).execute();
    for (const lines of inParts(history)) await tx.insertInto('job_events').values(lines).execute();
    return added.map(({ id }) => JobId.parse(id));
  }

  async find(jobId: JobId): Promise<JobRow | undefined> {
    const row = await this.db.selectFrom('jobs').selectAll().where('id', '=', jobId).executeTakeFirst();
    return row && parseRow(row);
  }

  /**
   * Lists jobs in the order of `byFee` in `domain/job-fit.ts`: best paid first, then by id. The database has
   * to sort by the same rule, or `limit` would cut off the wrong jobs.
   */
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

  /** Lists the jobs that a master may consider now, in the same order. */
  async listOpen(limit: number): Promise<JobRow[]> {
    const rows = await this.db
      .selectFrom('jobs')
      .selectAll()
      .where((eb) =>
        eb.or([
          eb('state', '=', 'queued'),
          eb.and([eb('state', '=', 'skipped'), eb('look_at_ms', '<=', this.clock.now())]),
        ]),
      )
      .orderBy('fee_wei', 'desc')
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map(parseRow);
  }

  /** Lists the jobs that the chain says a node has taken, and that no master works on. */
  async listOrphans(node: Address): Promise<JobRow[]> {
    const rows = await this.db
      .selectFrom('jobs')
      .selectAll()
      .where('chain_state', '=', 'PROCESSING')
      .where('node', '=', node)
      .where('state', 'in', ['queued', 'skipped', 'failed', 'declined'])
      .execute();
    return rows.map(parseRow);
  }

  /**
   * Claims an idle job for a master; one that counts as given back is given back once more. Exactly one of
   * the masters that share a database gets `true`.
   */
  claim(jobId: JobId, owner: Address, from: ClaimableState = 'queued'): Promise<boolean> {
    if (from === 'declined') return this.change(jobId, from, 'declining', { owner });
    return this.change(jobId, from, 'claimed', { owner, reason: null, look_at_ms: null });
  }

  /**
   * Notes that an open job is not taken, why, and when it is considered again. A job that was skipped before
   * gets no further line in the history.
   */
  async skip(jobId: JobId, from: 'queued' | 'skipped', { reason, lookAtMs }: JobFacts): Promise<void> {
    const values = { reason: reason ?? null, look_at_ms: lookAtMs ?? null };
    if (from === 'queued') await this.change(jobId, 'queued', 'skipped', values);
    else await this.db.updateTable('jobs').set(values).where('id', '=', jobId).where('state', '=', 'skipped').execute();
  }

  /** Has every skipped job considered now, but those that wait for somebody's word. */
  async lookAtAll(): Promise<void> {
    await this.db
      .updateTable('jobs')
      .set({ look_at_ms: 0 })
      .where('state', '=', 'skipped')
      .where('look_at_ms', 'is not', null)
      .execute();
  }

  /**
   * Moves a job and stores new facts if it is still in `from`. Returns whether it was. Throws
   * `store/forbidden-move` for a move that is not in the transition table, and `store/claim-lost` when the
   * job is another process's by now.
   */
  async move(jobId: JobId, from: JobState, to: JobState, facts: JobFacts = {}): Promise<boolean> {
    if (!canMove(from, to)) {
      throw new AppError<JobsError>(
        { code: 'store/forbidden-move', jobId, from, to },
        `Job ${jobId} cannot move from ${from} to ${to}.`,
      );
    }
    return this.change(jobId, from, to, {
      reason: facts.reason ?? null,
      look_at_ms: facts.lookAtMs ?? null,
      ...(facts.plan === undefined ? {} : { plan_json: JSON.stringify(facts.plan) }),
      ...(facts.result === undefined ? {} : { result_json: stringifyWei(facts.result) }),
      ...(to === 'queued' ? { owner: null } : {}),
    });
  }

  /** Returns the states a job has been in, oldest first. */
  async history(jobId: JobId): Promise<{ state: string; atMs: number; reason?: string | undefined }[]> {
    const rows = await this.db.selectFrom('job_events').selectAll().where('job_id', '=', jobId).orderBy('id').execute();
    return rows.map((row) => ({ state: row.state, atMs: row.at_ms, ...(row.reason ? { reason: row.reason } : {}) }));
  }

  /** Writes the state and its line in the history, both or neither. */
  private change(jobId: JobId, from: JobState, to: JobState, values: Updateable<JobsTable>): Promise<boolean> {
    return inTransaction(this.db, async (tx) => {
      if (isActive(from)) await requireClaim(tx, jobId, this.claimant);
      const { numUpdatedRows } = await tx
        .updateTable('jobs')
        .set({ ...values, ...this.claimOf(from, to), state: to, updated_at_ms: this.clock.now() })
        .where('id', '=', jobId)
        .where('state', '=', from)
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return false;
      await this.record(tx, jobId, to, values.reason ?? undefined);
      return true;
    });
  }

  /** A job is claimed when work on it begins, and free when the work is over. */
  private claimOf(from: JobState, to: JobState) {
    if (!isActive(to)) return { claimed_by: null, beat_at_ms: null };
    if (isActive(from)) return {};
    return { claimed_by: this.claimant ?? null, beat_at_ms: databaseNow(this.db, this.clock) };
  }

  private async record(
    tx: Kysely<QueueTables>,
    jobId: JobId,
    state: JobState,
    reason: string | undefined,
  ): Promise<void> {
    await tx
      .insertInto('job_events')
      .values({ job_id: jobId, state, reason: reason ?? null, at_ms: this.clock.now() })
      .execute();
  }
}

type Followed = Pick<Selectable<JobsTable>, 'chain_state' | 'node' | 'state' | 'owner' | 'reason' | 'look_at_ms'>;

/**
 * Reads the columns of known jobs that follow the chain. Until the transaction ends no master can claim or
 * move them.
 */
async function lockFollowed(tx: Kysely<QueueTables>, ids: readonly JobId[]): Promise<Map<string, Followed>> {
  const query = tx
    .selectFrom('jobs')
    .select(['id', 'chain_state', 'node', 'state', 'owner', 'reason', 'look_at_ms'])
    .where('id', 'in', [...ids]);
  // A SQLite transaction holds the write lock from its start.
  const isMysql = tx.getExecutor().adapter instanceof MysqlAdapter;
  const rows = await (isMysql ? query.forUpdate() : query).execute();
  return new Map(rows.map(({ id, ...followed }) => [id, followed]));
}

/**
 * Applies a job's chain moves, oldest first. Returns its new columns, the `request` of a new job, and its own
 * changes of state.
 */
function follow(known: Followed | undefined, moves: readonly ChainMove[]) {
  let after = known;
  let request: NewJob | undefined;
  const changes: Pick<Followed, 'state' | 'reason'>[] = [];
  for (const move of moves) {
    const before = after;
    if (after) after = followOne(after, move);
    else if (move.request) {
      request = move.request;
      after = { chain_state: move.state, node: null, state: 'queued', owner: null, reason: null, look_at_ms: null };
    }
    if (after && after.state !== before?.state) changes.push({ state: after.state, reason: after.reason });
  }
  return { after, request, changes };
}

/**
 * Applies one move. A job never leaves a final state of the chain. A job no master works on leaves the queue
 * when another node takes it or it ends, and returns when that node gives it back.
 */
function followOne(job: Followed, { state, node, request }: ChainMove): Followed {
  if (request || isTerminal(job.chain_state as ChainState)) return job;
  const moved = { ...job, chain_state: state, node: node ?? job.node };
  const isIdle = job.state === 'queued' || job.state === 'skipped';
  if (isIdle && isTerminal(state))
    return { ...moved, state: 'failed', reason: `it is ${state} on chain`, look_at_ms: null };
  if (isReopened(job, state)) return { ...moved, state: 'queued', owner: null, reason: null, look_at_ms: null };
  if (!isIdle || state !== 'PROCESSING') return moved;
  return { ...moved, state: 'skipped', reason: `taken by node ${node ?? 'unknown'}`, look_at_ms: null };
}

/** A node that gave a job back itself, or lost it, does not take it again of its own accord. */
function isReopened(job: Followed, state: ChainState): boolean {
  if (state !== 'REQUESTED') return false;
  return job.state === 'skipped' || (job.state === 'failed' && job.node !== job.owner);
}

function newRow(job: NewJob) {
  return {
    id: job.id,
    requester: job.requester,
    dataset: job.dataset,
    params: job.params,
    fee_wei: weiToText(job.feeWei),
    fuel_limit: weiToText(job.fuelLimit),
    deadline_ms: job.deadlineMs,
    requested_block: job.requestedBlock,
  };
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
    lookAtMs: row.look_at_ms ?? undefined,
    createdAtMs: row.created_at_ms,
    plan: row.plan_json === null ? undefined : JSON.parse(row.plan_json),
    result: row.result_json === null ? undefined : Result.parse(JSON.parse(row.result_json)),
  };
}

function stringifyWei(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => (typeof member === 'bigint' ? member.toString() : member));
}
