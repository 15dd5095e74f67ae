/** Helpers for single statements that SQLite and MySQL share. */

/** Returns whether a statement failed because a unique key exists already, in either database. */
export function isDuplicate(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === 'ER_DUP_ENTRY' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY' || code === 'SQLITE_CONSTRAINT_UNIQUE';
}

/** A row has at most some twenty columns; SQLite takes tens of thousands of values per statement. */
const ROWS_A_STATEMENT = 100;

/** Splits rows into parts, each small enough for one statement. */
export function inParts<T>(all: readonly T[]): T[][] {
  const count = Math.ceil(all.length / ROWS_A_STATEMENT);
  return Array.from({ length: count }, (_, i) => all.slice(i * ROWS_A_STATEMENT, (i + 1) * ROWS_A_STATEMENT));
}
