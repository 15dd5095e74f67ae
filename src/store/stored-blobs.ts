/** The index of a storage's blobs: who uploaded what, how far it is, and when it was needed last. */
import { type Insertable, type Kysely, type Selectable, sql, type Updateable } from 'kysely';
import { Address, Sha256 } from '../domain/ids';
import type { BlobPurpose, StoredBlob } from '../domain/storage-quota';
import type { BoardTables } from './board-schema';
import type { Nullable } from './columns';
import * as storedBlobs from './migrations/0010-stored-blobs';
import type { QueueTables } from './queue-schema';
import { inParts, isDuplicate } from './statements';
import { StorageNeeds } from './storage-needs';
import type { TableGroup } from './table-group';

interface StoredBlobsTable {
  /** The files or the bucket that the blob lies in; several of them may share a database. */
  place: string;
  sha256: string;
  /** Null for what was found without a row. */
  owner: Nullable<string>;
  purpose: string;
  /** Of an unfinished upload, what was announced. */
  bytes: number;
  written_bytes: number;
  began_at_ms: number;
  written_at_ms: number;
  finished_at_ms: Nullable<number>;
  /** When an open job last needed it; at first, when it was complete. */
  needed_at_ms: number;
}

type StoredBlobTables = { stored_blobs: StoredBlobsTable };

/** The table group of what a storage holds of others. */
export const storedBlobTables = {
  tables: { stored_blobs: true },
  migrations: { '0010-stored-blobs': storedBlobs.up },
  open: (db) => ({
    storedBlobs: new StoredBlobIndex(db.withTables<StoredBlobTables>()),
    storageNeeds: new StorageNeeds(db.withTables<QueueTables & BoardTables>()),
  }),
} satisfies TableGroup<StoredBlobTables>;

/** What the blobs of one kind take, or those of one account. */
export interface StoredSum {
  blobs: number;
  /** Unfinished uploads count by what they announced. */
  bytes: number;
  unfinished: number;
}

/** One row for each blob that was uploaded or found, by place. */
export class StoredBlobIndex {
  constructor(private readonly db: Kysely<StoredBlobTables>) {}

  /** Adds a row; false if there is one already. */
  async add(place: string, blob: StoredBlob): Promise<boolean> {
    try {
      await this.db.insertInto('stored_blobs').values(toRow(place, blob)).execute();
      return true;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  }

  async find(place: string, sha256: Sha256): Promise<StoredBlob | undefined> {
    const row = await this.of(place).selectAll().where('sha256', '=', sha256).executeTakeFirst();
    return row && parseRow(row);
  }

  /** Lists the rows after a name, by name. */
  async list(place: string, after: Sha256 | '', limit: number): Promise<StoredBlob[]> {
    const rows = this.of(place).selectAll().where('sha256', '>', after).orderBy('sha256').limit(limit);
    return (await rows.execute()).map(parseRow);
  }

  /** Lists unfinished uploads, the one without news for longest first. */
  async unfinished(place: string): Promise<StoredBlob[]> {
    const rows = this.of(place).selectAll().where('finished_at_ms', 'is', null).orderBy('written_at_ms');
    return (await rows.execute()).map(parseRow);
  }

  /** Lists what an account has stored completely, the oldest first. */
  async finishedOf(place: string, owner: Address): Promise<StoredBlob[]> {
    const rows = this.of(place).selectAll().where('owner', '=', owner).where('finished_at_ms', 'is not', null);
    return (await rows.orderBy('finished_at_ms').execute()).map(parseRow);
  }

  /** Sums what one account has stored. */
  async sumOf(place: string, owner: Address): Promise<StoredSum> {
    return parseSum(await this.sums(place).where('owner', '=', owner).executeTakeFirst());
  }

  /** Sums what is stored for each purpose. */
  async sumsByPurpose(place: string): Promise<{ purpose: BlobPurpose; sum: StoredSum }[]> {
    const rows = await this.sums(place).select('purpose').groupBy('purpose').orderBy('purpose').execute();
    return rows.map((row) => ({ purpose: row.purpose as BlobPurpose, sum: parseSum(row) }));
  }

  /** Sums what the accounts with most bytes have stored. */
  async sumsByOwner(place: string, limit: number): Promise<{ owner: Address | undefined; sum: StoredSum }[]> {
    const rows = await this.sums(place)
      .select('owner')
      .groupBy('owner')
      .orderBy('bytes', 'desc')
      .limit(limit)
      .execute();
    return rows.map((row) => ({ owner: toOwner(row.owner), sum: parseSum(row) }));
  }

  async noteWritten(place: string, sha256: Sha256, writtenBytes: number, atMs: number): Promise<void> {
    await this.update(place, [sha256], { written_bytes: writtenBytes, written_at_ms: atMs });
  }

  async noteFinished(place: string, sha256: Sha256, bytes: number, atMs: number): Promise<void> {
    const done = { bytes, written_bytes: bytes, written_at_ms: atMs, finished_at_ms: atMs, needed_at_ms: atMs };
    await this.update(place, [sha256], done);
  }

  /** Notes that open jobs need these blobs now. */
  async noteNeeded(place: string, names: readonly Sha256[], atMs: number): Promise<void> {
    for (const part of inParts(names)) await this.update(place, part, { needed_at_ms: atMs });
  }

  async forget(place: string, sha256: Sha256): Promise<void> {
    await this.db.deleteFrom('stored_blobs').where('place', '=', place).where('sha256', '=', sha256).execute();
  }

  private of(place: string) {
    return this.db.selectFrom('stored_blobs').where('place', '=', place);
  }

  private sums(place: string) {
    return this.of(place).select([
      sql<number>`count(*)`.as('blobs'),
      sql<number>`coalesce(sum(bytes), 0)`.as('bytes'),
      sql<number>`coalesce(sum(case when finished_at_ms is null then 1 else 0 end), 0)`.as('unfinished'),
    ]);
  }

  private async update(place: string, names: readonly Sha256[], values: Updateable<StoredBlobsTable>): Promise<void> {
    const update = this.db.updateTable('stored_blobs').set(values).where('place', '=', place);
    await update.where('sha256', 'in', [...names]).execute();
  }
}

function toRow(place: string, blob: StoredBlob): Insertable<StoredBlobsTable> {
  return {
    place,
    sha256: blob.sha256,
    owner: blob.owner ?? null,
    purpose: blob.purpose,
    bytes: blob.bytes,
    written_bytes: blob.writtenBytes,
    began_at_ms: blob.beganAtMs,
    written_at_ms: blob.writtenAtMs,
    finished_at_ms: blob.finishedAtMs ?? null,
    needed_at_ms: blob.neededAtMs,
  };
}

function parseRow(row: Selectable<StoredBlobsTable>): StoredBlob {
  return {
    sha256: Sha256.parse(row.sha256),
    owner: toOwner(row.owner),
    purpose: row.purpose as BlobPurpose,
    bytes: row.bytes,
    writtenBytes: row.written_bytes,
    beganAtMs: row.began_at_ms,
    writtenAtMs: row.written_at_ms,
    finishedAtMs: row.finished_at_ms ?? undefined,
    neededAtMs: row.needed_at_ms,
  };
}

/** MySQL's sums are decimal text. */
function parseSum(row: Record<keyof StoredSum, unknown> | undefined): StoredSum {
  return { blobs: Number(row?.blobs ?? 0), bytes: Number(row?.bytes ?? 0), unfinished: Number(row?.unfinished ?? 0) };
}

function toOwner(owner: string | null): Address | undefined {
  return owner === null ? undefined : Address.parse(owner);
}
