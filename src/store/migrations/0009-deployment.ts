/** Migration 9: the chain and the contract that a database belongs to. */
import type { CreateTableBuilder, Kysely } from 'kysely';
import type { ColumnTypes } from '../column-types';

export async function up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await types
    .finish(db.schema.createTable('deployment').ifNotExists() as CreateTableBuilder<string>)
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('chain_id', 'bigint', (c) => c.notNull())
    .addColumn('contract', 'varchar(42)', (c) => c.notNull())
    .execute();
}
