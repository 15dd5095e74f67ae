/** The workers in the store: what outlives their connections. */
import type { Kysely } from 'kysely';
import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { QueueTables } from './queue-schema';
import { isDuplicate } from './statements';

/** Whether each worker may connect, and its strikes. */
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
