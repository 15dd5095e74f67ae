/** What SQLite and MySQL spell differently when tables are made; migrations ask for it. */
import { type CreateTableBuilder, type RawBuilder, sql } from 'kysely';

/** Column types that the two databases name differently. */
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
