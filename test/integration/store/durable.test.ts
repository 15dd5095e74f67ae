/** What an acknowledged commit is worth when the power fails: SQLite writes it through to the disk first. */
import { Kysely, sql } from 'kysely';
import { sqliteDialect } from '../../../src/store/sqlite';
import { openScratch } from '../../support/scratch';

/** Of `pragma synchronous`: each commit is synced before it is acknowledged. */
const FULL = 2;

test('acknowledged commit: written through to the disk', async () => {
  await using scratch = await openScratch();
  const db = new Kysely<object>({ dialect: sqliteDialect(scratch.file('queue.sqlite')) });
  const { rows } = await sql<{ synchronous: number }>`pragma synchronous`.execute(db);
  const { rows: modes } = await sql<{ journal_mode: string }>`pragma journal_mode`.execute(db);
  await db.destroy();
  expect(rows).toEqual([{ synchronous: FULL }]);
  expect(modes).toEqual([{ journal_mode: 'wal' }]);
});
