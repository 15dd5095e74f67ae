/** The transactions of the sender in the store: what is to be sent, and every signed version of it. */
import { type Kysely, MysqlAdapter, type Selectable } from 'kysely';
import { z } from 'zod';
import { Address } from '../domain/ids';
import { type Attempt, haveSameVersions, holdsNonce, type Intent, type NewIntent } from '../domain/intent';
import type { Clock } from '../lib/clock';
import { textToWei, weiToText } from './columns';
import type { IntentsTable, QueueTables } from './queue-schema';
import { isDuplicate } from './statements';
import { inTransaction } from './transactions';

const Attempts = z.array(
  z.object({
    hash: z.string(),
    raw: z.string(),
    maxFeePerGas: z.string(),
    maxPriorityFeePerGas: z.string(),
    atMs: z.int(),
  }),
);

/** The sender's intents, one row per account and key. */
export class Intents {
  constructor(
    private readonly db: Kysely<QueueTables>,
    private readonly clock: Clock,
  ) {}

  /**
   * Returns the intent of this account and key, creating it if needed. A failed intent starts over with the
   * new content.
   */
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
    return this.get(id);
  }

  /** Counts the account's intents whose key starts with `start`. */
  async countLike(account: Address, start: string): Promise<number> {
    const { count } = await this.db
      .selectFrom('intents')
      .select(({ fn }) => fn.countAll().as('count'))
      .where('account', '=', account)
      .where('intent_key', 'like', `${start}%`)
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  async find(account: Address, key: string): Promise<Intent | undefined> {
    const rows = this.db.selectFrom('intents').selectAll().where('account', '=', account).where('intent_key', '=', key);
    const row = await rows.executeTakeFirst();
    return row && parseIntent(row);
  }

  async get(id: string): Promise<Intent> {
    return parseIntent(await this.db.selectFrom('intents').selectAll().where('id', '=', id).executeTakeFirstOrThrow());
  }

  /**
   * Stores a signed version; must be called before it is sent. With `known`, the versions known to the
   * signer, nothing is stored if another process has added a version or restarted the intent. Returns the
   * intent as stored afterwards; returns undefined, and stores nothing, if another intent of the account
   * holds the nonce (`holdsNonce`).
   */
  saveAttempt(id: string, nonce: number, attempt: Attempt, known?: readonly Attempt[]): Promise<Intent | undefined> {
    return inTransaction(this.db, async (tx) => {
      const intents = new Intents(tx, this.clock);
      const stored = await intents.get(id);
      const open = await intents.lockOpen(stored.account);
      const intent = open.find((other) => other.id === id) ?? (await intents.get(id));
      if (known && !isOpenWith(intent, known)) return intent;
      const isOwn = intent.state === 'signed' && intent.nonce === nonce;
      const others = [...open, ...(await intents.listMinedFrom(stored.account, nonce))];
      const isHeld = others.some((other) => other.nonce === nonce && holdsNonce(other, attempt.atMs));
      if (!isOwn && isHeld) return undefined;
      const attempts_json = JSON.stringify([...intent.attempts, attempt]);
      await tx.updateTable('intents').set({ state: 'signed', nonce, attempts_json }).where('id', '=', id).execute();
      return intents.get(id);
    });
  }

  async markMined(id: string, hash: string): Promise<void> {
    await this.db.updateTable('intents').set({ state: 'mined', mined_hash: hash }).where('id', '=', id).execute();
  }

  /** Marks the intent failed; with `known`, only if the failed versions are still the only ones. */
  async markFailed(id: string, reason: string, known?: readonly Attempt[]): Promise<void> {
    await inTransaction(this.db, async (tx) => {
      const intents = new Intents(tx, this.clock);
      const { account } = await intents.get(id);
      const intent = (await intents.lockOpen(account)).find((other) => other.id === id);
      if (known && !(intent && isOpenWith(intent, known))) return;
      await tx.updateTable('intents').set({ state: 'failed', reason }).where('id', '=', id).execute();
    });
  }

  /** Lists signed intents that are not known to be mined, lowest nonce first. */
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

  /** Marks a mined intent final: no reorganisation can undo it any more. */
  async markFinal(id: string): Promise<void> {
    await this.db
      .updateTable('intents')
      .set({ state: 'final' })
      .where('id', '=', id)
      .where('state', '=', 'mined')
      .execute();
  }

  /** Lists mined intents that are not known to be final, lowest nonce first. */
  async listMined(account: Address): Promise<Intent[]> {
    const rows = await this.db
      .selectFrom('intents')
      .selectAll()
      .where('account', '=', account)
      .where('state', '=', 'mined')
      .orderBy('nonce')
      .execute();
    return rows.map(parseIntent);
  }

  /** Lists mined and final intents with this nonce or a higher one, lowest nonce first. */
  async listMinedFrom(account: Address, nonce: number): Promise<Intent[]> {
    const rows = await this.db
      .selectFrom('intents')
      .selectAll()
      .where('account', '=', account)
      .where('state', 'in', ['mined', 'final'])
      .where('nonce', '>=', nonce)
      .orderBy('nonce')
      .execute();
    return rows.map(parseIntent);
  }

  /** Marks a mined or final intent signed again: the chain has dropped its block. */
  async reopen(id: string): Promise<Intent> {
    const change = { state: 'signed', mined_hash: null };
    await this.db
      .updateTable('intents')
      .set(change)
      .where('id', '=', id)
      .where('state', 'in', ['mined', 'final'])
      .execute();
    return this.get(id);
  }

  /**
   * Returns the account's intents that may still be signed. Until the transaction ends no other process can
   * sign any of them.
   */
  private async lockOpen(account: Address): Promise<Intent[]> {
    const query = this.db
      .selectFrom('intents')
      .selectAll()
      .where('account', '=', account)
      .where('state', 'in', ['created', 'signed']);
    // A SQLite transaction holds the write lock from its start.
    const isMysql = this.db.getExecutor().adapter instanceof MysqlAdapter;
    const rows = await (isMysql ? query.forUpdate() : query).execute();
    return rows.map(parseIntent);
  }
}

/** Returns whether the intent is open and has exactly these versions. */
function isOpenWith({ state, attempts }: Intent, known: readonly Attempt[]): boolean {
  const isOpen = state === 'created' || state === 'signed';
  return isOpen && haveSameVersions(attempts, known);
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
    attempts: Attempts.parse(JSON.parse(row.attempts_json)),
    minedHash: row.mined_hash ?? undefined,
    reason: row.reason ?? undefined,
  };
}
