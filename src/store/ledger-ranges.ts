/** Ranges of the ledger: how they are marked, and how one goes back to the job and joins its neighbours. */
import type { Kysely } from 'kysely';
import type { JobId } from '../domain/ids';
import type { QueueTables } from './queue-schema';

/** Positions [start, end) of a job. */
export interface LedgerRange {
  start: number;
  end: number;
}
type RangeState = { state: string; lease_id: string | null; round: number | null };

export async function setRange(
  tx: Kysely<QueueTables>,
  jobId: JobId,
  range: LedgerRange,
  state: RangeState,
): Promise<void> {
  await tx
    .updateTable('ledger')
    .set({ ...state, end_pos: range.end })
    .where('job_id', '=', jobId)
    .where('start_pos', '=', range.start)
    .execute();
}

/** Makes a range available, as one with the available ranges on both sides. */
async function joinNeighbours(tx: Kysely<QueueTables>, jobId: JobId, range: LedgerRange): Promise<void> {
  const available = tx.selectFrom('ledger').selectAll().where('job_id', '=', jobId).where('state', '=', 'AVAILABLE');
  const before = await available.where('end_pos', '=', range.start).executeTakeFirst();
  const after = await available.where('start_pos', '=', range.end).executeTakeFirst();
  const joined = { start: before?.start_pos ?? range.start, end: after?.end_pos ?? range.end };
  for (const start of [range.start, range.end]) {
    if (start === joined.start || (start === range.end && !after)) continue;
    await tx.deleteFrom('ledger').where('job_id', '=', jobId).where('start_pos', '=', start).execute();
  }
  await setRange(tx, jobId, joined, { state: 'AVAILABLE', lease_id: null, round: null });
}

/** Returns a lease's blocks to the job, inside a transaction; false when it is in none of the states. */
export async function releaseLease(
  tx: Kysely<QueueTables>,
  jobId: JobId,
  leaseId: string,
  { reason, from }: { reason: string; from: readonly ('leased' | 'committed' | 'merged')[] },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('leases')
    .set({ state: 'released', reason })
    .where('id', '=', leaseId)
    .where('state', 'in', from)
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) return false;
  const row = await tx
    .selectFrom('ledger')
    .selectAll()
    .where('job_id', '=', jobId)
    .where('lease_id', '=', leaseId)
    .executeTakeFirst();
  if (!row) throw new Error(`Lease ${leaseId} has no range in the ledger`);
  const range = { start: row.start_pos, end: row.end_pos };
  await joinNeighbours(tx, jobId, range);
  return true;
}
