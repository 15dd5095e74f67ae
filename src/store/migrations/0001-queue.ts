/** Migration 1: the tables of the first release. */
import type { CreateTableBuilder, Kysely } from 'kysely';
import type { ColumnTypes } from '../column-types';

const jobId = 'varchar(34)';
const address = 'varchar(42)';
const hash = 'varchar(64)';
const wei = 'varchar(78)';
const word = 'varchar(64)';

/**
 * `if not exists` because MySQL commits each statement by itself: an interrupted migration is simply run
 * again.
 */
export async function up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const table = (name: string) => types.finish(db.schema.createTable(name).ifNotExists() as CreateTableBuilder<string>);

  await table('jobs')
    .addColumn('id', jobId, (c) => c.primaryKey())
    .addColumn('requester', address, (c) => c.notNull())
    .addColumn('dataset', types.longText, (c) => c.notNull())
    .addColumn('params', types.longText, (c) => c.notNull())
    .addColumn('fee_wei', wei, (c) => c.notNull())
    .addColumn('fuel_limit', wei, (c) => c.notNull())
    .addColumn('deadline_ms', 'bigint', (c) => c.notNull())
    .addColumn('requested_block', 'bigint', (c) => c.notNull())
    .addColumn('chain_state', word, (c) => c.notNull())
    .addColumn('node', address)
    .addColumn('state', word, (c) => c.notNull())
    .addColumn('owner', address)
    .addColumn('reason', types.longText)
    .addColumn('plan_json', types.longText)
    .addColumn('result_json', types.longText)
    .addColumn('created_at_ms', 'bigint', (c) => c.notNull())
    .addColumn('updated_at_ms', 'bigint', (c) => c.notNull())
    .execute();
  await types
    .autoIncrement(table('job_events'))
    .addColumn('job_id', jobId, (c) => c.notNull())
    .addColumn('state', word, (c) => c.notNull())
    .addColumn('reason', types.longText)
    .addColumn('at_ms', 'bigint', (c) => c.notNull())
    .execute();
  await table('ledger')
    .addColumn('job_id', jobId, (c) => c.notNull())
    .addColumn('start_pos', 'bigint', (c) => c.notNull())
    .addColumn('end_pos', 'bigint', (c) => c.notNull())
    .addColumn('state', word, (c) => c.notNull())
    .addColumn('lease_id', word)
    .addColumn('round', 'bigint')
    .addPrimaryKeyConstraint('ledger_pk', ['job_id', 'start_pos'])
    .execute();
  await table('leases')
    .addColumn('id', word, (c) => c.primaryKey())
    .addColumn('job_id', jobId, (c) => c.notNull())
    .addColumn('round', 'bigint', (c) => c.notNull())
    .addColumn('worker', address, (c) => c.notNull())
    .addColumn('start_pos', 'bigint', (c) => c.notNull())
    .addColumn('end_pos', 'bigint', (c) => c.notNull())
    .addColumn('state', word, (c) => c.notNull())
    .addColumn('granted_at_ms', 'bigint', (c) => c.notNull())
    .addColumn('expires_at_ms', 'bigint', (c) => c.notNull())
    .addColumn('shard', hash)
    .addColumn('update_sha256', hash)
    .addColumn('update_bytes', 'bigint')
    .addColumn('tokens', 'bigint')
    .addColumn('loss', 'double precision')
    .addColumn('loss_curve_json', types.longText)
    .addColumn('seconds', 'double precision')
    .addColumn('end_theta', hash)
    .addColumn('reason', types.longText)
    .execute();
  await table('rounds')
    .addColumn('job_id', jobId, (c) => c.notNull())
    .addColumn('round', 'bigint', (c) => c.notNull())
    .addColumn('state', word, (c) => c.notNull())
    .addColumn('theta', hash, (c) => c.notNull())
    .addColumn('next_theta', hash)
    .addColumn('delta', hash)
    .addColumn('outer_state', hash)
    .addColumn('scale', 'double precision')
    .addColumn('validation_loss', 'double precision')
    .addColumn('opened_at_ms', 'bigint', (c) => c.notNull())
    .addColumn('folded_at_ms', 'bigint')
    .addPrimaryKeyConstraint('rounds_pk', ['job_id', 'round'])
    .execute();
  await table('receipts')
    .addColumn('job_id', jobId, (c) => c.notNull())
    .addColumn('round', 'bigint', (c) => c.notNull())
    .addColumn('worker', address, (c) => c.notNull())
    .addColumn('tokens', 'bigint', (c) => c.notNull())
    .addColumn('total_tokens', 'bigint', (c) => c.notNull())
    .addColumn('expected_wei', wei, (c) => c.notNull())
    .addColumn('signature', 'varchar(132)', (c) => c.notNull())
    .addPrimaryKeyConstraint('receipts_pk', ['job_id', 'round', 'worker'])
    .execute();
  await table('workers')
    .addColumn('address', address, (c) => c.primaryKey())
    .addColumn('is_blocked', 'bigint', (c) => c.notNull().defaultTo(0))
    .addColumn('strikes', 'bigint', (c) => c.notNull().defaultTo(0))
    .addColumn('last_strike', types.longText)
    .addColumn('seen_at_ms', 'bigint', (c) => c.notNull())
    .execute();
  await table('cursors')
    .addColumn('id', 'varchar(160)', (c) => c.primaryKey())
    .addColumn('block_number', 'bigint', (c) => c.notNull())
    .addColumn('block_hash', 'varchar(66)', (c) => c.notNull())
    .execute();
  await table('intents')
    .addColumn('id', 'varchar(180)', (c) => c.primaryKey())
    .addColumn('account', address, (c) => c.notNull())
    .addColumn('intent_key', 'varchar(120)', (c) => c.notNull())
    .addColumn('state', word, (c) => c.notNull())
    .addColumn('to_address', address, (c) => c.notNull())
    .addColumn('data', types.longText, (c) => c.notNull())
    .addColumn('value_wei', wei, (c) => c.notNull())
    .addColumn('nonce', 'bigint')
    .addColumn('attempts_json', types.longText, (c) => c.notNull())
    .addColumn('mined_hash', 'varchar(66)')
    .addColumn('reason', types.longText)
    .addColumn('created_at_ms', 'bigint', (c) => c.notNull())
    .execute();
  await addIndexes(db);
}

async function addIndexes(db: Kysely<unknown>): Promise<void> {
  const indexes: [string, string, string[]][] = [
    ['jobs_by_state', 'jobs', ['state', 'fee_wei']],
    ['job_events_by_job', 'job_events', ['job_id']],
    ['leases_by_job', 'leases', ['job_id', 'round']],
    ['intents_by_account', 'intents', ['account', 'state']],
  ];
  for (const [name, table, columns] of indexes) {
    await db.schema
      .createIndex(name)
      .on(table)
      .columns(columns)
      .execute()
      .catch((error: unknown) => {
        if (!/exists|Duplicate key name/i.test(String(error))) throw error;
      });
  }
}
