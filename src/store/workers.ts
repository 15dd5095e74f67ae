/** The workers in the store: what outlives their connections. */
import type { Kysely } from 'kysely';
import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { QueueTables } from './queue-schema';
import { isDuplicate } from './statements';

/** Whether each worker may connect, its strikes, and what it was seen to do. */
export class Workers {
  constructor(
    private readonly db: Kysely<QueueTables>,
    private readonly clock: Clock,
  ) {}

  /** Refuses a worker until it is allowed again. */
  async block(address: Address): Promise<void> {
    await this.ensure(address);
    await this.db.updateTable('workers').set({ is_blocked: 1 }).where('address', '=', address).execute();
  }

  /** Allows a blocked worker again; false if it was not blocked. */
  async allow(address: Address): Promise<boolean> {
    const { numUpdatedRows } = await this.db
      .updateTable('workers')
      .set({ is_blocked: 0, strikes: 0 })
      .where('address', '=', address)
      .where('is_blocked', '=', 1)
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  }

  async isBlocked(address: Address): Promise<boolean> {
    const row = await this.db
      .selectFrom('workers')
      .select('is_blocked')
      .where('address', '=', address)
      .executeTakeFirst();
    return row?.is_blocked === 1;
  }

  /** Counts a fault of a worker; returns the number of its strikes. */
  async addStrike(address: Address, reason: string): Promise<number> {
    await this.ensure(address);
    await this.db
      .updateTable('workers')
      .set((eb) => ({ strikes: eb('strikes', '+', 1), last_strike: reason }))
      .where('address', '=', address)
      .execute();
    const row = await this.db.selectFrom('workers').select('strikes').where('address', '=', address).executeTakeFirst();
    return row?.strikes ?? 0;
  }

  /** Returns what this master knows of a worker from all jobs so far. */
  async findRecord(address: Address): Promise<{ accepted: number; isAudited: boolean; gflops: number | undefined }> {
    const row = await this.db
      .selectFrom('workers')
      .select(['accepted_leases', 'measured_gflops'])
      .where('address', '=', address)
      .executeTakeFirst();
    const audit = await this.db
      .selectFrom('audits')
      .innerJoin('leases', 'leases.id', 'audits.lease_id')
      .select('audits.lease_id')
      .where('leases.worker', '=', address)
      .where('audits.outcome', '=', 'equal')
      .limit(1)
      .executeTakeFirst();
    return {
      accepted: Number(row?.accepted_leases ?? 0),
      isAudited: audit !== undefined,
      gflops: row?.measured_gflops ?? undefined,
    };
  }

  /** Counts an accepted lease, with the speed if it could be measured. */
  async addAccepted(address: Address, gflops: number | undefined): Promise<void> {
    await this.ensure(address);
    await this.db
      .updateTable('workers')
      .set((eb) => ({
        accepted_leases: eb(eb.fn.coalesce('accepted_leases', eb.lit(0)), '+', 1),
        ...(gflops === undefined ? {} : { measured_gflops: gflops }),
      }))
      .where('address', '=', address)
      .execute();
  }

  /** Forgets a worker's speed, so that its next job begins with a probe. */
  async forgetSpeed(address: Address): Promise<void> {
    await this.db.updateTable('workers').set({ measured_gflops: null }).where('address', '=', address).execute();
  }

  private async ensure(address: Address): Promise<void> {
    await this.db
      .insertInto('workers')
      .values({ address, is_blocked: 0, strikes: 0, seen_at_ms: this.clock.now() })
      .execute()
      .catch((error: unknown) => {
        if (!isDuplicate(error)) throw error;
      });
  }
}
