/** Where SQLite and MySQL differ when tables are made. */
import { type CreateTableBuilder, type RawBuilder, sql } from 'kysely';

/** What a migration asks for instead of naming a database's own types. */
export interface ColumnTypes {
  /** Text of any length, never indexed. */
  longText: 'text' | RawBuilder<unknown>;
  autoIncrement(builder: CreateTableBuilder<string>): CreateTableBuilder<string>;
  finish(builder: CreateTableBuilder<string>): CreateTableBuilder<string>;
}

export function columnTypes(kind: 'sqlite' | 'mysql'): ColumnTypes {
  const finishMysql = (builder: CreateTableBuilder<string>) =>
    builder.modifyEnd(sql`engine=InnoDB default charset=utf8mb4 collate=utf8mb4_bin`);
  return {
    longText: kind === 'mysql' ? sql`longtext` : 'text',
    autoIncrement: (builder) =>
      builder.addColumn('id', kind === 'mysql' ? 'bigint' : 'integer', (c) => c.primaryKey().autoIncrement()),
    finish: (builder) => (kind === 'mysql' ? finishMysql(builder) : builder),
  };
}
