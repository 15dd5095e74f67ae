import type { Kysely } from 'kysely';
import type { QueueTables } from './queue-schema';

/** How far a reader of the chain has come. */
export interface Cursor {
  number: number;
  hash: string;
}

/** Saved in the same transaction as what the blocks up to it caused. */
export class Cursors {
  constructor(private readonly db: Kysely<Pick<QueueTables, 'cursors'>>) {}

  async find(id: string): Promise<Cursor | undefined> {
    const row = await this.db.selectFrom('cursors').selectAll().where('id', '=', id).executeTakeFirst();
    return row && { number: row.block_number, hash: row.block_hash };
  }

  /** Both cursors of a reader: of the final blocks, and of those above them that it was only told about. */
  async findPair(id: string): Promise<{ final?: Cursor | undefined; tentative?: Cursor | undefined }> {
    return { final: await this.find(id), tentative: await this.find(tentativeOf(id)) };
  }

  async saveTentative(id: string, cursor: Cursor): Promise<void> {
    await this.save(tentativeOf(id), cursor);
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
