/** The board in the store: the chain's job events and the current state of each job, derived from them. */
import { type Insertable, type Kysely, type Selectable, sql } from 'kysely';
import { Address, JobId } from '../domain/ids';
import type { ChainState } from '../domain/job';
import type { BoardJobsTable, BoardTables, ChainEventsTable } from './board-schema';
import { textToWei, weiToText } from './columns';
import * as board from './migrations/0002-board';
import * as boardOrder from './migrations/0003-board-order';
import type { QueueTables } from './queue-schema';
import { inParts, isDuplicate } from './statements';
import type { TableGroup } from './table-group';
import { inTransaction, lockChainEvents } from './transactions';

/** The board's own tables, and the cursors, which hold the row that writers lock. */
type SeenTables = BoardTables & Pick<QueueTables, 'cursors'>;

/** The table group of the board. */
export const boardTables = {
  tables: { chain_events: true, board_jobs: true },
  migrations: { '0002-board': board.up, '0003-board-order': boardOrder.up },
  open: (db) => ({ board: new Board(db.withTables<SeenTables>()) }),
} satisfies TableGroup<BoardTables>;

/** One event of a job, as stored. */
export interface IndexedEvent {
  blockNumber: number;
  blockHash: string;
  logIndex: number;
  txHash: string;
  jobId: JobId;
  type: string;
  /** State of the job after the event; undefined if the event changed no state. */
  state?: ChainState | undefined;
  node?: Address | undefined;
  /** Only on the event of the request. */
  request?: Pick<BoardJob, 'requester' | 'dataset' | 'params' | 'feeWei' | 'fuelLimit' | 'deadlineMs'> | undefined;
  /** Everything else the event contains, as text, for the history. */
  facts: Readonly<Record<string, string>>;
}

/** A job, as its events leave it. */
export interface BoardJob {
  jobId: JobId;
  state: ChainState;
  /** False while a reorganisation may still undo the last event. */
  isFinal: boolean;
  requester: Address;
  node?: Address | undefined;
  dataset: string;
  datasetBytes?: number | undefined;
  params: string;
  feeWei: bigint;
  fuelLimit: bigint;
  deadlineMs: number;
  requestedBlock: number;
  updatedBlock: number;
  /** Hash of the request's transaction. */
  txHash: string;
}

export interface BoardFilter {
  states?: readonly ChainState[] | undefined;
  sort: 'newest' | 'fee' | 'deadline';
  limit: number;
  offset: number;
}

/** The chain's job events and the jobs they lead to. Undoing events restores the state before them. */
export class Board {
  constructor(private readonly db: Kysely<SeenTables>) {}

  /** Replaces the events in blocks ≥ `from` that are not final. */
  takeTentative(from: number, events: readonly IndexedEvent[]): Promise<void> {
    return this.replace({ operator: '>=', block: from }, events, false);
  }

  /** Adds final events, and removes the events in blocks ≤ `upTo` that never became final. */
  takeFinal(events: readonly IndexedEvent[], upTo: number): Promise<void> {
    return this.replace({ operator: '<=', block: upTo }, events, true);
  }

  private replace(
    { operator, block }: { operator: '>=' | '<='; block: number },
    events: readonly IndexedEvent[],
    isFinal: boolean,
  ): Promise<void> {
    return inTransaction(this.db, async (tx) => {
      await lockChainEvents(tx);
      const lost = await tx
        .selectFrom('chain_events')
        .select('job_id')
        .distinct()
        .where('is_final', '=', 0)
        .where('block_number', operator, block)
        .execute();
      await tx.deleteFrom('chain_events').where('is_final', '=', 0).where('block_number', operator, block).execute();
      await insertAll(tx, events, isFinal);
      const changed = new Set([...lost.map(({ job_id }) => JobId.parse(job_id)), ...events.map(({ jobId }) => jobId)]);
      await rebuild(tx, [...changed]);
    });
  }

  /** Returns a page of jobs, and how many jobs there are on all pages. */
  async list(filter: BoardFilter): Promise<{ jobs: BoardJob[]; total: number }> {
    const { states, sort, limit, offset } = filter;
    const all = this.db.selectFrom('board_jobs');
    const matching = states ? all.where('state', 'in', [...states]) : all;
    const { total } = await matching.select(sql<number>`count(*)`.as('total')).executeTakeFirstOrThrow();
    const [column, direction] = orders[sort];
    // Fetch ids first: an index alone yields them, and only the page's own rows are read in full. With
    // several states, an index that starts with the state gives no order, and MySQL would sort all matching
    // rows; walking the index of the order is cheap.
    const inOrder = states && states.length > 1 ? all.where(sql`coalesce(state, '')`, 'in', [...states]) : matching;
    const found = await inOrder
      .select('id')
      .orderBy(column, direction)
      .orderBy('id', direction)
      .limit(limit)
      .offset(offset)
      .execute();
    const ids = found.map(({ id }) => id);
    if (ids.length === 0) return { jobs: [], total: Number(total) };
    const rows = await this.db.selectFrom('board_jobs').selectAll().where('id', 'in', ids).execute();
    const byId = new Map(rows.map((row) => [row.id, row]));
    return { jobs: ids.flatMap((id) => byId.get(id) ?? []).map(parseJob), total: Number(total) };
  }

  async find(jobId: JobId): Promise<BoardJob | undefined> {
    const row = await this.db.selectFrom('board_jobs').selectAll().where('id', '=', jobId).executeTakeFirst();
    return row && parseJob(row);
  }

  /** Returns all events of a job, oldest first. */
  async history(jobId: JobId): Promise<(Omit<IndexedEvent, 'request'> & { isFinal: boolean })[]> {
    return (await eventsOf(this.db, [jobId])).map((row) => ({ ...parseEvent(row), isFinal: row.is_final === 1 }));
  }

  /**
   * Lists the newest jobs whose data set size is unknown and was not looked up since `askedBeforeMs`. `file:`
   * references are left out: they are only readable on their own machine.
   */
  async unsized(limit: number, askedBeforeMs: number): Promise<{ jobId: JobId; dataset: string }[]> {
    const rows = await this.db
      .selectFrom('board_jobs')
      .select(['id', 'dataset'])
      .where('dataset_bytes', 'is', null)
      .where((where) =>
        where.or([where('size_asked_at_ms', 'is', null), where('size_asked_at_ms', '<', askedBeforeMs)]),
      )
      .where('dataset', 'not like', 'file:%')
      .orderBy('requested_block', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .execute();
    return rows.map(({ id, dataset }) => ({ jobId: JobId.parse(id), dataset }));
  }

  /** Stores the looked-up size of these jobs' data set; undefined if the lookup failed. */
  async saveSize(jobIds: readonly JobId[], bytes: number | undefined, atMs: number): Promise<void> {
    await this.db
      .updateTable('board_jobs')
      .set({ dataset_bytes: bytes ?? null, size_asked_at_ms: atMs })
      .where('id', 'in', [...jobIds])
      .execute();
  }
}

const orders = {
  newest: ['requested_block', 'desc'],
  fee: ['fee_wei', 'desc'],
  deadline: ['deadline_ms', 'asc'],
} as const;

/**
 * Inserts many events per statement, because reading years of a chain consists mostly of this. Events that
 * are there already, from a range that was read before a crash, stay as they are.
 */
async function insertAll(tx: Kysely<SeenTables>, events: readonly IndexedEvent[], isFinal: boolean): Promise<void> {
  for (const part of inParts(events)) {
    const rows = part.map((event) => rowOf(event, isFinal));
    const areNew = await insertRows(tx, rows);
    if (!areNew) for (const row of rows) await insertRows(tx, [row]);
  }
}

/** Returns false, and inserts nothing, if one of the rows exists already. */
async function insertRows(tx: Kysely<SeenTables>, rows: Insertable<ChainEventsTable>[]): Promise<boolean> {
  try {
    await tx.insertInto('chain_events').values(rows).execute();
    return true;
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    return false;
  }
}

function rowOf(event: IndexedEvent, isFinal: boolean): Insertable<ChainEventsTable> {
  const { request, facts } = event;
  return {
    block_hash: event.blockHash,
    log_index: event.logIndex,
    block_number: event.blockNumber,
    tx_hash: event.txHash,
    job_id: event.jobId,
    type: event.type,
    state: event.state ?? null,
    node: event.node ?? null,
    facts_json: JSON.stringify({
      facts,
      request: request && { ...request, feeWei: `${request.feeWei}`, fuelLimit: `${request.fuelLimit}` },
    }),
    is_final: isFinal ? 1 : 0,
  };
}

/** Rebuilds the jobs' rows from their events; a job without events loses its row. */
async function rebuild(tx: Kysely<SeenTables>, jobIds: readonly JobId[]): Promise<void> {
  for (const part of inParts(jobIds)) {
    const sizes = await tx
      .selectFrom('board_jobs')
      .select(['id', 'dataset_bytes', 'size_asked_at_ms'])
      .where('id', 'in', part)
      .execute();
    await tx.deleteFrom('board_jobs').where('id', 'in', part).execute();
    const events = new Map<string, Selectable<ChainEventsTable>[]>(part.map((id) => [id, []]));
    for (const row of await eventsOf(tx, part)) events.get(row.job_id)?.push(row);
    const known = new Map(sizes.map(({ id, ...size }) => [id, size]));
    const rows = [...events].flatMap(([id, ofJob]) => jobRowOf(ofJob, known.get(id)) ?? []);
    if (rows.length > 0) await tx.insertInto('board_jobs').values(rows).execute();
  }
}

type KnownSize = Pick<Selectable<BoardJobsTable>, 'dataset_bytes' | 'size_asked_at_ms'>;

/** Derives a job's row from its events, oldest first; undefined if the request is not among them. */
function jobRowOf(
  events: readonly Selectable<ChainEventsTable>[],
  { dataset_bytes, size_asked_at_ms }: KnownSize = { dataset_bytes: null, size_asked_at_ms: null },
): Insertable<BoardJobsTable> | undefined {
  const first = events.find(({ type }) => type === 'JobRequested');
  const last = events.findLast(({ state }) => state !== null);
  const request = first && parseEvent(first).request;
  if (!first || !last || !request) return undefined;
  return {
    id: first.job_id,
    state: last.state ?? 'REQUESTED',
    is_final: last.is_final,
    requester: request.requester,
    node: last.state === 'REQUESTED' ? null : (events.findLast(({ node }) => node !== null)?.node ?? null),
    dataset: request.dataset,
    dataset_bytes,
    size_asked_at_ms,
    params: request.params,
    fee_wei: weiToText(request.feeWei),
    fuel_limit: weiToText(request.fuelLimit),
    deadline_ms: request.deadlineMs,
    requested_block: first.block_number,
    updated_block: last.block_number,
    tx_hash: first.tx_hash,
  };
}

function eventsOf(db: Kysely<SeenTables>, jobIds: readonly JobId[]): Promise<Selectable<ChainEventsTable>[]> {
  return db
    .selectFrom('chain_events')
    .selectAll()
    .where('job_id', 'in', [...jobIds])
    .orderBy('block_number')
    .orderBy('log_index')
    .execute();
}

interface StoredFacts {
  facts: Record<string, string>;
  request?: {
    requester: string;
    dataset: string;
    params: string;
    feeWei: string;
    fuelLimit: string;
    deadlineMs: number;
  };
}

function parseEvent(row: Selectable<ChainEventsTable>): IndexedEvent {
  const { facts, request } = JSON.parse(row.facts_json) as StoredFacts;
  return {
    blockNumber: row.block_number,
    blockHash: row.block_hash,
    logIndex: row.log_index,
    txHash: row.tx_hash,
    jobId: JobId.parse(row.job_id),
    type: row.type,
    state: (row.state ?? undefined) as ChainState | undefined,
    node: row.node === null ? undefined : Address.parse(row.node),
    request: request && {
      ...request,
      requester: Address.parse(request.requester),
      feeWei: BigInt(request.feeWei),
      fuelLimit: BigInt(request.fuelLimit),
    },
    facts,
  };
}

function parseJob(row: Selectable<BoardJobsTable>): BoardJob {
  return {
    jobId: JobId.parse(row.id),
    state: row.state as ChainState,
    isFinal: row.is_final === 1,
    requester: Address.parse(row.requester),
    node: row.node === null ? undefined : Address.parse(row.node),
    dataset: row.dataset,
    datasetBytes: row.dataset_bytes ?? undefined,
    params: row.params,
    feeWei: textToWei(row.fee_wei),
    fuelLimit: textToWei(row.fuel_limit),
    deadlineMs: row.deadline_ms,
    requestedBlock: row.requested_block,
    updatedBlock: row.updated_block,
    txHash: row.tx_hash,
  };
}
