import { type Kysely, MysqlAdapter } from 'kysely';
import type { JobId } from '../domain/ids';
import { errorCode } from '../lib/errors';
import type { QueueTables } from './queue-schema';

const MAX_ATTEMPTS = 8;

/**
 * Runs in the transaction the handle is in, or in one of its own. MySQL ends one of two transactions that wait for each other;
 * the one it ended is run again from its beginning, so `work` must not keep what an earlier run of it did.
 */
export async function inTransaction<D, T>(db: Kysely<D>, work: (tx: Kysely<D>) => Promise<T>): Promise<T> {
  if (db.isTransaction) return work(db);
  for (let attempt = 1; ; attempt++) {
    try {
      // Each statement must see what was committed before it: a snapshot from before a lock was won would be too old.
      return await db.transaction().setIsolationLevel('read committed').execute(work);
    } catch (error) {
      if (errorCode(error) !== 'ER_LOCK_DEADLOCK' || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/**
 * Makes this transaction the only one that writes what the chain told, into the index or the queue, until it ends: masters that share a
 * database tell the same at the same time. A transaction of SQLite holds the write lock from its beginning.
 */
export async function lockChainNews(tx: Kysely<Pick<QueueTables, 'cursors'>>): Promise<void> {
  if (!(tx.getExecutor().adapter instanceof MysqlAdapter)) return;
  await tx.selectFrom('cursors').select('id').where('id', '=', 'lock:board').forUpdate().execute();
}

/**
 * Makes this transaction the only one that changes the ledger of a job, until it ends. Position 0 always begins a range, so its
 * row serves as the lock. A transaction of SQLite holds the write lock from its beginning.
 */
export async function lockLedger(tx: Kysely<Pick<QueueTables, 'ledger'>>, jobId: JobId): Promise<void> {
  if (!(tx.getExecutor().adapter instanceof MysqlAdapter)) return;
  await tx
    .selectFrom('ledger')
    .select('start_pos')
    .where('job_id', '=', jobId)
    .where('start_pos', '=', 0)
    .forUpdate()
    .execute();
}
