/** Claims on jobs: leases of their rows, for masters that share a database or a key. */
import { type Kysely, sql } from 'kysely';
import { type Address, JobId } from '../domain/ids';
import { activeStates } from '../domain/job';
import type { Clock } from '../lib/clock';
import { CLAIM_MS, type Claimant, databaseNow } from './claimant';
import type { QueueTables } from './queue-schema';
import { inTransaction } from './transactions';

/** What a process has of the jobs of its account. */
export interface Holding {
  /** All jobs in progress that are its own. */
  held: ReadonlySet<JobId>;
  /** Those that were another process's until now. */
  taken: readonly JobId[];
  /** Jobs of any account that are open to all again. */
  freed: readonly JobId[];
}

/** The claims of one process. One without a name is alone: every job of its account is its own. */
export class Claims {
  constructor(
    private readonly db: Kysely<QueueTables>,
    private readonly clock: Clock,
    private readonly claimant: Claimant | undefined,
  ) {}

  /**
   * Renews all claims of this process, and takes over the jobs of its account whose process is gone: an
   * earlier one of this data directory, or one that has not renewed its claim in time. Jobs of other accounts
   * whose process is gone return to the queue, unless it may have taken them on chain. `mayTake` says whether
   * a job of another directory could be gone on with.
   */
  async hold(owner: Address, mayTake: (jobId: JobId) => Promise<boolean> = async () => true): Promise<Holding> {
    const { claimant } = this;
    if (claimant === undefined) return { held: await this.listHeld(owner), taken: [], freed: [] };
    const beat_at_ms = databaseNow(this.db, this.clock);
    await this.db.updateTable('jobs').set({ beat_at_ms }).where('claimed_by', '=', claimant).execute();
    const taken = await this.takeOver(owner, claimant, mayTake);
    return { held: await this.listHeld(owner), taken, freed: await this.freeAbandoned() };
  }

  /** Lists the jobs in progress that are this process's. */
  async listHeld(owner: Address): Promise<Set<JobId>> {
    const { claimant } = this;
    const rows = await this.db
      .selectFrom('jobs')
      .select('id')
      .where('state', 'in', [...activeStates])
      .where((eb) => (claimant === undefined ? eb('owner', '=', owner) : eb('claimed_by', '=', claimant)))
      .execute();
    return new Set(rows.map(({ id }) => JobId.parse(id)));
  }

  /** A master that may have taken a job left a transaction for it; it waits for one with the same key. */
  private async freeAbandoned(): Promise<JobId[]> {
    const abandoned = await this.db
      .selectFrom('jobs')
      .select(['id', 'claimed_by'])
      .where('state', 'in', ['claimed', 'preparing'])
      .where('chain_state', '=', 'REQUESTED')
      .where('beat_at_ms', '<', this.expiredBefore())
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('intents')
              .select('intents.id')
              .whereRef('intents.account', '=', 'jobs.owner')
              .where('intents.state', '!=', 'failed')
              .where('intents.intent_key', '=', processKey()),
          ),
        ),
      )
      .execute();
    const freed: JobId[] = [];
    for (const { id, claimed_by } of abandoned) {
      if (await this.free(id, claimed_by)) freed.push(JobId.parse(id));
    }
    return freed;
  }

  private async takeOver(
    owner: Address,
    claimant: Claimant,
    mayTake: (jobId: JobId) => Promise<boolean>,
  ): Promise<JobId[]> {
    const [dir] = claimant.split('.', 1);
    const lost = await this.db
      .selectFrom('jobs')
      .select(['id', 'claimed_by', 'beat_at_ms'])
      .where('owner', '=', owner)
      .where('state', 'in', [...activeStates])
      .where((eb) =>
        eb.or([
          eb('claimed_by', 'is', null),
          eb('beat_at_ms', '<', this.expiredBefore()),
          eb.and([eb('claimed_by', 'like', `${dir}.%`), eb('claimed_by', '!=', claimant)]),
        ]),
      )
      .execute();
    const taken: JobId[] = [];
    for (const { id, claimed_by, beat_at_ms } of lost) {
      const isOfThisDir = claimed_by === null || claimed_by.startsWith(`${dir}.`);
      if (!isOfThisDir && !(await mayTake(JobId.parse(id)))) continue;
      // Of several processes that try, one changes the row; the others do not find it as they have read it.
      const { numUpdatedRows } = await this.db
        .updateTable('jobs')
        .set({ claimed_by: claimant, beat_at_ms: databaseNow(this.db, this.clock) })
        .where('id', '=', id)
        .where('state', 'in', [...activeStates])
        .where('claimed_by', claimed_by === null ? 'is' : '=', claimed_by)
        .where('beat_at_ms', beat_at_ms === null ? 'is' : '=', beat_at_ms)
        .executeTakeFirst();
      if (numUpdatedRows === 1n) taken.push(JobId.parse(id));
    }
    return taken;
  }

  /** Writes the state and its line in the history, both or neither. */
  private free(id: string, claimedBy: string | null): Promise<boolean> {
    const reason = 'its master does not answer any more';
    return inTransaction(this.db, async (tx) => {
      const { numUpdatedRows } = await tx
        .updateTable('jobs')
        .set({ state: 'queued', owner: null, claimed_by: null, beat_at_ms: null, reason })
        .where('id', '=', id)
        .where('state', 'in', ['claimed', 'preparing'])
        .where('claimed_by', '=', claimedBy)
        .where('beat_at_ms', '<', this.expiredBefore())
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return false;
      const line = { job_id: id, state: 'queued', reason, at_ms: this.clock.now() };
      await tx.insertInto('job_events').values(line).execute();
      return true;
    });
  }

  private expiredBefore() {
    return sql<number>`${databaseNow(this.db, this.clock)} - ${CLAIM_MS}`;
  }
}

/** The key under which the sender keeps the transaction that takes a job. */
function processKey() {
  return sql<string>`concat(jobs.id, ':process')`;
}
