/** The holders of a storage's blobs: accounts that have shown that they have one, by all of its bytes. */
import type { Kysely } from 'kysely';
import type { Address, Sha256 } from '../domain/ids';
import * as blobHolders from './migrations/0012-blob-holders';
import { isDuplicate } from './statements';
import type { TableGroup } from './table-group';

interface BlobHoldersTable {
  sha256: string;
  account: string;
}

type BlobHolderTables = { blob_holders: BlobHoldersTable };

/** The table group of who holds which blob. */
export const blobHolderTables = {
  tables: { blob_holders: true },
  migrations: { '0012-blob-holders': blobHolders.up },
  open: (db) => ({ blobHolders: new BlobHolders(db.withTables<BlobHolderTables>()) }),
} satisfies TableGroup<BlobHolderTables>;

/**
 * Holders, by blob. One uploader may pay for a blob's space, and several may hold it; that lasts when the
 * bytes go, because whoever had them has them.
 */
export class BlobHolders {
  constructor(private readonly db: Kysely<BlobHolderTables>) {}

  /** Adds a holder, unless the account is one. */
  async add(sha256: Sha256, account: Address): Promise<void> {
    await this.db
      .insertInto('blob_holders')
      .values({ sha256, account })
      .execute()
      .catch((error: unknown) => {
        if (!isDuplicate(error)) throw error;
      });
  }

  async has(sha256: Sha256, account: Address): Promise<boolean> {
    const rows = this.db.selectFrom('blob_holders').select('account').where('sha256', '=', sha256);
    return (await rows.where('account', '=', account).executeTakeFirst()) !== undefined;
  }
}
