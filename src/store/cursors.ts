/** The chain cursors in the store: how far each reader of the chain has come. */
import type { Kysely } from 'kysely';
import type { QueueTables } from './queue-schema';
import { isDuplicate } from './statements';

/** The newest block a reader has processed. */
export interface Cursor {
  number: number;
  hash: string;
}

const TOUCHED = 'touched';

/** Cursors by reader; saved in the transaction that stores the effects of the blocks up to them. */
export class Cursors {
  constructor(private readonly db: Kysely<Pick<QueueTables, 'cursors'>>) {}

  async find(id: string): Promise<Cursor | undefined> {
    const row = await this.db.selectFrom('cursors').selectAll().where('id', '=', id).executeTakeFirst();
    return row && { number: row.block_number, hash: row.block_hash };
  }

  /** Returns both cursors of a reader: the newest final block, and the newest block that is not final yet. */
  async findPair(id: string): Promise<{ final?: Cursor | undefined; tentative?: Cursor | undefined }> {
    return { final: await this.find(id), tentative: await this.find(tentativeOf(id)) };
  }

  async saveTentative(id: string, cursor: Cursor): Promise<void> {
    await this.save(tentativeOf(id), cursor);
  }

  /** Writes a row that means nothing. Throws when the database cannot be written. */
  async touch(): Promise<void> {
    const { numUpdatedRows } = await this.db
      .updateTable('cursors')
      .set((eb) => ({ block_number: eb('block_number', '+', 1) }))
      .where('id', '=', TOUCHED)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) return;
    await this.save(TOUCHED, { number: 0, hash: '' }).catch((error: unknown) => {
      if (!isDuplicate(error)) throw error;
    });
  }

  async save(id: string, cursor: Cursor): Promise<void> {
    const values = { block_number: cursor.number, block_hash: cursor.hash };
    const known = await this.find(id);
    if (known) await this.db.updateTable('cursors').set(values).where('id', '=', id).execute();
    else
      await this.db
        .insertInto('cursors')
        .values({ id, ...values })
        .execute();
  }
}

function tentativeOf(id: string): string {
  return `${id}:tentative`;
}
