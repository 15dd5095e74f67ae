import type { Kysely } from 'kysely';

/**
 * What makes a page of the board cheap: for each order one index that also filters by one state, and one for all or several, which
 * walks in order and reads the state from the index itself.
 */
const indexes = [
  ['board_jobs_newest', ['requested_block', 'id', 'state']],
  ['board_jobs_fee', ['fee_wei', 'id', 'state']],
  ['board_jobs_deadline', ['deadline_ms', 'id', 'state']],
  ['board_jobs_state_fee', ['state', 'fee_wei', 'id']],
  ['board_jobs_state_deadline', ['state', 'deadline_ms', 'id']],
] as const;

/** As the tables are before this. */
interface Before {
  cursors: { id: string; block_number: number; block_hash: string };
}

/**
 * Pages in milliseconds, when the size of a job's data set was last asked for, and a row to be locked by whoever changes the index
 * (no reader's cursor is named so).
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

/** MySQL commits each of these statements by itself: after a power cut some are there already. */
async function unlessThere(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    const text = `${(error as { code?: string }).code} ${String(error)}`;
    if (!/ER_DUP_KEYNAME|ER_DUP_FIELDNAME|already exists|duplicate column/.test(text)) throw error;
  });
}
