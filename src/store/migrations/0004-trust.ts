/** Migration 4: what makes the work of a job checkable afterwards. */
import type { Kysely } from 'kysely';

/** Columns added to tables that exist, by table. */
const columns = [
  ['leases', 'weight', 'double precision'],
  ['workers', 'accepted_leases', 'bigint'],
  ['workers', 'measured_gflops', 'double precision'],
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [table, name, type] of columns) {
    await unlessThere(db.schema.alterTable(table).addColumn(name, type).execute());
  }
}

/**
 * Ignores what exists already: MySQL commits each statement by itself, so an interrupted migration leaves
 * some behind.
 */
async function unlessThere(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    const text = `${(error as { code?: string }).code} ${String(error)}`;
    if (!/ER_DUP_FIELDNAME|duplicate column/.test(text)) throw error;
  });
}
