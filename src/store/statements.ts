/** Helpers for single statements that SQLite and MySQL share. */

/** A unique key was already there, in the words of either database. */
export function isDuplicate(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === 'ER_DUP_ENTRY' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY' || code === 'SQLITE_CONSTRAINT_UNIQUE';
}

/** At most some twenty columns each; SQLite takes some tens of thousands of values in a statement. */
const ROWS_A_STATEMENT = 100;

/** Few enough for one statement. */
export function inParts<T>(all: readonly T[]): T[][] {
  const count = Math.ceil(all.length / ROWS_A_STATEMENT);
  return Array.from({ length: count }, (_, i) => all.slice(i * ROWS_A_STATEMENT, (i + 1) * ROWS_A_STATEMENT));
}
