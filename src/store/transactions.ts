/** Transactions and row locks that work on both databases. */
import { type Kysely, MysqlAdapter } from 'kysely';
import type { JobId } from '../domain/ids';
import { AppError, errorCode } from '../lib/errors';
import { type Claimant, requireClaim } from './claimant';
import type { QueueTables } from './queue-schema';

const MAX_ATTEMPTS = 8;

/**
 * Runs `work` in the handle's transaction, or in a new one. MySQL aborts one of two transactions that wait
 * for each other; it is then run again from its start, so `work` must not keep results of an earlier run.
 */
export async function inTransaction<D, T>(db: Kysely<D>, work: (tx: Kysely<D>) => Promise<T>): Promise<T> {
  if (db.isTransaction) return work(db);
  for (let attempt = 1; ; attempt++) {
    try {
      // Each statement must see everything committed before it: a snapshot taken before a lock was won would
      // be too old.
      return await db.transaction().setIsolationLevel('read committed').execute(work);
    } catch (error) {
      const isOver = errorCode(error) === 'ER_LOCK_DEADLOCK' || hasRoomNow(error);
      if (!isOver || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/** True when the disk was full, and the reserve has made room since. */
function hasRoomNow(error: unknown): boolean {
  return error instanceof AppError && error.code === 'store/disk-full' && Reflect.get(error.detail, 'hasRoomNow');
}

/**
 * Makes this the only transaction that writes events of the chain, into the board or the queue, until it
 * ends: masters that share a database read the same events at the same time. A SQLite transaction holds the
 * write lock from its start.
 */
export async function lockChainEvents(tx: Kysely<Pick<QueueTables, 'cursors'>>): Promise<void> {
  if (!(tx.getExecutor().adapter instanceof MysqlAdapter)) return;
  await tx.selectFrom('cursors').select('id').where('id', '=', 'lock:board').forUpdate().execute();
}

/**
 * Makes this the only transaction that changes the ledger of a job until it ends. Position 0 always starts a
 * range, so its row serves as the lock. A SQLite transaction holds the write lock from its start. Throws
 * `store/claim-lost` when the job is another process's by now.
 */
export async function lockLedger(
  tx: Kysely<Pick<QueueTables, 'ledger' | 'jobs'>>,
  jobId: JobId,
  claimant: Claimant | undefined,
): Promise<void> {
  if (tx.getExecutor().adapter instanceof MysqlAdapter) {
    const ranges = tx.selectFrom('ledger').select('start_pos').where('job_id', '=', jobId);
    await ranges.where('start_pos', '=', 0).forUpdate().execute();
  }
  await requireClaim(tx, jobId, claimant);
}
