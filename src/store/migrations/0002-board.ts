/** Migration 2: the events of the chain, and the board's jobs. */
import type { CreateTableBuilder, Kysely } from 'kysely';
import type { ColumnTypes } from '../column-types';

const jobId = 'varchar(34)';
const address = 'varchar(42)';
const hash = 'varchar(66)';
const word = 'varchar(64)';

export async function up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const table = (name: string) => types.finish(db.schema.createTable(name).ifNotExists() as CreateTableBuilder<string>);

  await table('chain_events')
    .addColumn('block_hash', hash, (c) => c.notNull())
    .addColumn('log_index', 'bigint', (c) => c.notNull())
    .addColumn('block_number', 'bigint', (c) => c.notNull())
    .addColumn('tx_hash', hash, (c) => c.notNull())
    .addColumn('job_id', jobId, (c) => c.notNull())
    .addColumn('type', word, (c) => c.notNull())
    .addColumn('state', word)
    .addColumn('node', address)
    .addColumn('facts_json', types.longText, (c) => c.notNull())
    .addColumn('is_final', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('chain_events_pk', ['block_hash', 'log_index'])
    .execute();
  await table('board_jobs')
    .addColumn('id', jobId, (c) => c.primaryKey())
    .addColumn('state', word, (c) => c.notNull())
    .addColumn('is_final', 'integer', (c) => c.notNull())
    .addColumn('requester', address, (c) => c.notNull())
    .addColumn('node', address)
    .addColumn('dataset', types.longText, (c) => c.notNull())
    .addColumn('dataset_bytes', 'bigint')
    .addColumn('params', types.longText, (c) => c.notNull())
    .addColumn('fee_wei', 'varchar(78)', (c) => c.notNull())
    .addColumn('fuel_limit', 'varchar(78)', (c) => c.notNull())
    .addColumn('deadline_ms', 'bigint', (c) => c.notNull())
    .addColumn('requested_block', 'bigint', (c) => c.notNull())
    .addColumn('updated_block', 'bigint', (c) => c.notNull())
    .addColumn('tx_hash', hash, (c) => c.notNull())
    .execute();
  await index(db, 'chain_events_by_job', 'chain_events', ['job_id', 'block_number']);
  await index(db, 'chain_events_by_block', 'chain_events', ['is_final', 'block_number']);
  await index(db, 'board_jobs_by_state', 'board_jobs', ['state', 'requested_block', 'id']);
}

/**
 * Creates an index unless it exists: MySQL has no `if not exists` for an index and commits each statement by
 * itself.
 */
async function index(db: Kysely<unknown>, name: string, table: string, columns: string[]): Promise<void> {
  await db.schema
    .createIndex(name)
    .on(table)
    .columns(columns)
    .execute()
    .catch((error: unknown) => {
      if (!/ER_DUP_KEYNAME|already exists/.test(`${(error as { code?: string }).code} ${String(error)}`)) throw error;
    });
}
