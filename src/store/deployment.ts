/** Which chain and contract a database belongs to: job ids, nonces and cursors of two must not mix. */
import type { Kysely } from 'kysely';
import type { Address } from '../domain/ids';
import { AppError } from '../lib/errors';
import type { QueueTables } from './queue-schema';
import { isDuplicate } from './statements';

/** A chain, and the escrow on it. */
export interface Deployed {
  chainId: number;
  core: Address;
}

export type DeploymentError = { code: 'store/other-chain'; known: string; asked: string };

const ID = 1;

export class DeploymentNote {
  constructor(private readonly db: Kysely<Pick<QueueTables, 'deployment'>>) {}

  /** Notes what the database is first used with. Throws `store/other-chain` for anything else. */
  async require({ chainId, core }: Deployed): Promise<void> {
    await this.db
      .insertInto('deployment')
      .values({ id: ID, chain_id: chainId, contract: core })
      .execute()
      .catch((error: unknown) => {
        if (!isDuplicate(error)) throw error;
      });
    const row = await this.db.selectFrom('deployment').selectAll().where('id', '=', ID).executeTakeFirstOrThrow();
    if (row.chain_id === chainId && row.contract === core) return;
    const [known, asked] = [describe(row.chain_id, row.contract), describe(chainId, core)];
    throw new AppError<DeploymentError>(
      { code: 'store/other-chain', known, asked },
      `The state here belongs to ${known}, and the configuration names ${asked}; choose another --data-dir (or external_db), or correct endpoint and emethContractAddress.`,
    );
  }
}

function describe(chainId: number, contract: string): string {
  return `the contract ${contract} on chain ${chainId}`;
}
