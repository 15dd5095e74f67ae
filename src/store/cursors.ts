import type { Kysely } from 'kysely';
import type { Tables } from './schema';

/** How far a reader of the chain has come. */
export interface Cursor {
  number: number;
  hash: string;
}

/** Saved in the same transaction as what the blocks up to it caused. */
export class Cursors {
  constructor(private readonly db: Kysely<Tables>) {}

  async find(id: string): Promise<Cursor | undefined> {
    const row = await this.db.selectFrom('cursors').selectAll().where('id', '=', id).executeTakeFirst();
    return row && { number: row.block_number, hash: row.block_hash };
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
