/** Migration 10: who uploaded which blob to a storage. */
import type { CreateTableBuilder, Kysely } from 'kysely';
import type { ColumnTypes } from '../column-types';
import { unlessThere } from '../unless-there';

export async function up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await types
    .finish(db.schema.createTable('stored_blobs').ifNotExists() as CreateTableBuilder<string>)
    .addColumn('place', 'varchar(64)', (c) => c.notNull())
    .addColumn('sha256', 'varchar(64)', (c) => c.notNull())
    .addColumn('owner', 'varchar(42)')
    .addColumn('purpose', 'varchar(16)', (c) => c.notNull())
    .addColumn('bytes', 'bigint', (c) => c.notNull())
    .addColumn('written_bytes', 'bigint', (c) => c.notNull())
    .addColumn('began_at_ms', 'bigint', (c) => c.notNull())
    .addColumn('written_at_ms', 'bigint', (c) => c.notNull())
    .addColumn('finished_at_ms', 'bigint')
    .addColumn('needed_at_ms', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('stored_blobs_pk', ['place', 'sha256'])
    .execute();
  await unlessThere(
    db.schema.createIndex('stored_blobs_owner').on('stored_blobs').columns(['place', 'owner']).execute(),
  );
}
