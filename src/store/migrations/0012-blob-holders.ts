/** Migration 12: which accounts have shown a storage that they have a blob. */
import type { CreateTableBuilder, Kysely } from 'kysely';
import type { ColumnTypes } from '../column-types';

export async function up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await types
    .finish(db.schema.createTable('blob_holders').ifNotExists() as CreateTableBuilder<string>)
    .addColumn('sha256', 'varchar(64)', (c) => c.notNull())
    .addColumn('account', 'varchar(42)', (c) => c.notNull())
    .addPrimaryKeyConstraint('blob_holders_pk', ['sha256', 'account'])
    .execute();
}
