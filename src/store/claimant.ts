/** Who claims jobs, and the check that a process still has the job that it writes of. */
import { type Kysely, MysqlAdapter, type RawBuilder, sql } from 'kysely';
import type { JobId } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { AppError, errorCode } from '../lib/errors';
import type { QueueTables } from './queue-schema';

/**
 * A process that claims jobs, by a name of its own. The part before the dot is that of its data directory,
 * which one process at a time works in: what carries it was left by an earlier process there.
 */
export type Claimant = `${string}.${string}`;

export type ClaimError = { code: 'store/claim-lost'; jobId: JobId };

/** A claim that has not been renewed for this long is lost to whoever takes it. */
export const CLAIM_MS = 20_000;

/** The database's time: masters that share one compare their claims by it, not by clocks of their own. */
export function databaseNow(db: Kysely<QueueTables>, clock: Clock): RawBuilder<number> {
  const isMysql = db.getExecutor().adapter instanceof MysqlAdapter;
  if (!isMysql) return sql<number>`${clock.now()}`;
  return sql<number>`timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000`;
}

/**
 * Throws `store/claim-lost` when another process has taken the job over. Until the transaction ends none can.
 */
export async function requireClaim(
  tx: Kysely<Pick<QueueTables, 'jobs'>>,
  jobId: JobId,
  claimant: Claimant | undefined,
): Promise<void> {
  if (claimant === undefined) return;
  const query = tx.selectFrom('jobs').select('claimed_by').where('id', '=', jobId);
  // A SQLite transaction holds the write lock from its start.
  const isMysql = tx.getExecutor().adapter instanceof MysqlAdapter;
  const row = await (isMysql ? query.forUpdate() : query).executeTakeFirst();
  if (row?.claimed_by !== claimant) throw claimLost(jobId);
}

export function claimLost(jobId: JobId): AppError<ClaimError> {
  return new AppError(
    { code: 'store/claim-lost', jobId },
    `Another master has taken job ${jobId} over, as this one did not renew its claim for ${CLAIM_MS / 1000} s.`,
  );
}

export function isClaimLost(error: unknown): boolean {
  return errorCode(error) === 'store/claim-lost';
}
