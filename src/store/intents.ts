import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { isDuplicate } from './jobs';
import { type IntentsTable, type Tables, textToWei, weiToText } from './schema';

const Attempt = z.object({
  hash: z.string(),
  /** The signed transaction, ready to be sent again. */
  raw: z.string(),
  maxFeePerGas: z.string(),
  maxPriorityFeePerGas: z.string(),
  atMs: z.int(),
});
export type Attempt = z.infer<typeof Attempt>;

/** Something an account means to do on chain, once; every signed version of it is kept before it is sent. */
export interface Intent {
  id: string;
  account: Address;
  /** Names the act, e.g. `0x…:submit`; unique for the account. */
  key: string;
  state: 'created' | 'signed' | 'mined' | 'failed';
  to: Address;
  data: string;
  valueWei: bigint;
  nonce?: number | undefined;
  attempts: Attempt[];
  minedHash?: string | undefined;
  reason?: string | undefined;
}

export type NewIntent = Pick<Intent, 'account' | 'key' | 'to' | 'data' | 'valueWei'>;

/** What the transaction sender remembers. */
export class Intents {
  constructor(
    private readonly db: Kysely<Tables>,
    private readonly clock: Clock,
  ) {}

  /** The intent of this account and key, made if it is new; one that failed begins afresh with the new content. */
  async begin(intent: NewIntent): Promise<Intent> {
    const id = `${intent.account}:${intent.key}`;
    const content = {
      to_address: intent.to,
      data: intent.data,
      value_wei: weiToText(intent.valueWei),
      state: 'created',
      nonce: null,
      attempts_json: '[]',
      reason: null,
    };
    await this.db
      .insertInto('intents')
      .values({ id, account: intent.account, intent_key: intent.key, created_at_ms: this.clock.now(), ...content })
      .execute()
      .catch((error: unknown) => {
        if (!isDuplicate(error)) throw error;
      });
    await this.db.updateTable('intents').set(content).where('id', '=', id).where('state', '=', 'failed').execute();
    return this.require(id);
  }

  /** Keeps a signed version; must be called before it is sent. */
  async saveAttempt(id: string, nonce: number, attempt: Attempt): Promise<void> {
    const { attempts } = await this.require(id);
    const attempts_json = JSON.stringify([...attempts, attempt]);
    await this.db.updateTable('intents').set({ state: 'signed', nonce, attempts_json }).where('id', '=', id).execute();
  }

  async markMined(id: string, hash: string): Promise<void> {
    await this.db.updateTable('intents').set({ state: 'mined', mined_hash: hash }).where('id', '=', id).execute();
  }

  async markFailed(id: string, reason: string): Promise<void> {
    await this.db.updateTable('intents').set({ state: 'failed', reason }).where('id', '=', id).execute();
  }

  /** Signed and not known to be mined, lowest nonce first. */
  async listPending(account: Address): Promise<Intent[]> {
    const rows = await this.db
      .selectFrom('intents')
      .selectAll()
      .where('account', '=', account)
      .where('state', '=', 'signed')
      .orderBy('nonce')
      .execute();
    return rows.map(parseIntent);
  }

  private async require(id: string): Promise<Intent> {
    return parseIntent(await this.db.selectFrom('intents').selectAll().where('id', '=', id).executeTakeFirstOrThrow());
  }
}

function parseIntent(row: Selectable<IntentsTable>): Intent {
  return {
    id: row.id,
    account: Address.parse(row.account),
    key: row.intent_key,
    state: row.state as Intent['state'],
    to: Address.parse(row.to_address),
    data: row.data,
    valueWei: textToWei(row.value_wei),
    nonce: row.nonce ?? undefined,
    attempts: z.array(Attempt).parse(JSON.parse(row.attempts_json)),
    minedHash: row.mined_hash ?? undefined,
    reason: row.reason ?? undefined,
  };
}
