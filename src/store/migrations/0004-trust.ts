/** Migration 4: what makes the work of a job checkable afterwards. */
import type { CreateTableBuilder, Kysely } from 'kysely';
import type { ColumnTypes } from '../column-types';
import { unlessThere } from '../unless-there';

/** Columns added to tables that exist, by table. */
const columns = [
  ['leases', 'weight', 'double precision'],
  ['leases', 'device_kind', 'varchar(64)'],
  ['workers', 'accepted_leases', 'bigint'],
  ['workers', 'measured_gflops', 'double precision'],
  ['leases', 'ordinal', 'bigint'],
  ['leases', 'is_drawn', 'bigint'],
  ['rounds', 'confirmed_at_ms', 'bigint'],
  ['rounds', 'resets_outer', 'bigint'],
  ['receipts', 'audit_tokens', 'bigint'],
  ['receipts', 'held_tokens', 'bigint'],
] as const;

/** The columns that a statement of this migration reads or writes. */
interface After {
  rounds: { state: string; folded_at_ms: number | null; confirmed_at_ms: number | null };
}

export async function up(db: Kysely<After>, types: ColumnTypes): Promise<void> {
  for (const [table, name, type] of columns) {
    await unlessThere(db.schema.alterTable(table).addColumn(name, type).execute());
  }
  await addAudits(db, types);
  await addMeasurements(db, types);
  // Rounds that were folded before folds were checked count as checked.
  await db
    .updateTable('rounds')
    .set((eb) => ({ confirmed_at_ms: eb.ref('folded_at_ms') }))
    .where('state', '=', 'folded')
    .where('confirmed_at_ms', 'is', null)
    .execute();
}

async function addAudits(db: Kysely<After>, types: ColumnTypes): Promise<void> {
  await types
    .finish(db.schema.createTable('audits').ifNotExists() as CreateTableBuilder<string>)
    .addColumn('lease_id', 'varchar(64)', (c) => c.notNull())
    .addColumn('auditor', 'varchar(42)', (c) => c.notNull())
    .addColumn('job_id', 'varchar(34)', (c) => c.notNull())
    .addColumn('round', 'bigint', (c) => c.notNull())
    .addColumn('start_pos', 'bigint', (c) => c.notNull())
    .addColumn('update_sha256', 'varchar(64)', (c) => c.notNull())
    .addColumn('tokens', 'bigint', (c) => c.notNull())
    .addColumn('distance', 'double precision', (c) => c.notNull())
    .addColumn('outcome', 'varchar(64)', (c) => c.notNull())
    .addColumn('done_at_ms', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('audits_pk', ['lease_id', 'auditor'])
    .execute();
  const indexes = [
    ['audits_by_job', 'audits', ['job_id', 'round']],
    ['leases_by_worker', 'leases', ['worker', 'ordinal']],
  ] as const;
  for (const [name, table, names] of indexes) {
    await unlessThere(
      db.schema
        .createIndex(name)
        .on(table)
        .columns([...names])
        .execute(),
    );
  }
}

async function addMeasurements(db: Kysely<After>, types: ColumnTypes): Promise<void> {
  const table = types.finish(db.schema.createTable('measurements').ifNotExists() as CreateTableBuilder<string>);
  await types
    .autoIncrement(table)
    .addColumn('worker', 'varchar(42)', (c) => c.notNull())
    .addColumn('at_ms', 'bigint', (c) => c.notNull())
    .addColumn('source', 'varchar(64)', (c) => c.notNull())
    .addColumn('shape', 'varchar(64)', (c) => c.notNull())
    .addColumn('gflops', 'double precision', (c) => c.notNull())
    .addColumn('ok', 'integer', (c) => c.notNull())
    .addColumn('detail', types.longText)
    .execute();
  const index = db.schema.createIndex('measurements_worker').on('measurements').columns(['worker', 'source', 'id']);
  await unlessThere(index.execute());
}
