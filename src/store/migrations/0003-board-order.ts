/** Migration 3: indexes that make the board's pages cheap, and the row that its writers lock. */
import type { Kysely } from 'kysely';

/**
 * For each order one index that also filters by one state, and one for all or several states, which is walked
 * in order and yields the state itself.
 */
const indexes = [
  ['board_jobs_newest', ['requested_block', 'id', 'state']],
  ['board_jobs_fee', ['fee_wei', 'id', 'state']],
  ['board_jobs_deadline', ['deadline_ms', 'id', 'state']],
  ['board_jobs_state_fee', ['state', 'fee_wei', 'id']],
  ['board_jobs_state_deadline', ['state', 'deadline_ms', 'id']],
] as const;

/** The tables before this migration. */
interface Before {
  cursors: { id: string; block_number: number; block_hash: string };
}

/**
 * Adds the indexes, the time a data set's size was last looked up, and the row that writers of the board
 * lock; no reader's cursor has its name.
 */
export async function up(db: Kysely<Before>): Promise<void> {
  const lock = { id: 'lock:board', block_number: 0, block_hash: '' };
  const known = await db.selectFrom('cursors').select('id').where('id', '=', lock.id).executeTakeFirst();
  if (!known) await db.insertInto('cursors').values(lock).execute();
  const add = db.schema.alterTable('board_jobs').addColumn('size_asked_at_ms', 'bigint');
  await unlessThere(add.execute());
  for (const [name, columns] of indexes) {
    await unlessThere(
      db.schema
        .createIndex(name)
        .on('board_jobs')
        .columns([...columns])
        .execute(),
    );
  }
}

/**
 * Ignores what exists already: MySQL commits each statement by itself, so an interrupted migration leaves
 * some behind.
 */
async function unlessThere(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    const text = `${(error as { code?: string }).code} ${String(error)}`;
    if (!/ER_DUP_KEYNAME|ER_DUP_FIELDNAME|already exists|duplicate column/.test(text)) throw error;
  });
}
