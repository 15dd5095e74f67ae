import { Transaction } from 'ethers';
import type { Address } from '../domain/ids';

/** One signed version of a transaction. */
export interface Attempt {
  hash: string;
  raw: string;
  maxFeePerGas: string;
  maxPriorityFeePerGas: string;
  atMs: number;
}

/** Something an account means to do on chain, once. */
export interface Intent {
  id: string;
  key: string;
  /** `mined` until the chain cannot take it back any more: then `final`. */
  state: 'created' | 'signed' | 'mined' | 'final' | 'failed';
  to: Address;
  data: string;
  valueWei: bigint;
  nonce?: number | undefined;
  attempts: Attempt[];
  minedHash?: string | undefined;
  /** Why it failed. */
  reason?: string | undefined;
}

export type NewIntent = Pick<Intent, 'key' | 'to' | 'data' | 'valueWei'> & { account: Address };

/** What the sender remembers across crashes. */
export interface IntentStore {
  /** The intent of this account and key, made if it is new; one that failed begins afresh with the new content. */
  begin(intent: NewIntent): Promise<Intent>;
  /** How many of the account's keys begin so. */
  countLike(account: Address, start: string): Promise<number>;
  get(id: string): Promise<Intent>;
  /**
   * Adds a version to those that the signer knew of, and returns the intent. If there are others by now, nothing is added: what
   * another process stored is returned. Undefined if another signed intent of the account holds the nonce.
   */
  saveAttempt(id: string, nonce: number, attempt: Attempt, known: readonly Attempt[]): Promise<Intent | undefined>;
  markMined(id: string, hash: string): Promise<void>;
  /** Does nothing if there are other versions by now than those that failed. */
  markFailed(id: string, reason: string, known: readonly Attempt[]): Promise<void>;
  /** Signed and not known to be mined, lowest nonce first. */
  listPending(account: Address): Promise<Intent[]>;
  /** The chain cannot take it back any more. */
  markFinal(id: string): Promise<void>;
  /** Known to be mined, and not known to be final, lowest nonce first. */
  listMined(account: Address): Promise<Intent[]>;
  /** Known to be mined or final, under this nonce or a higher one. */
  listMinedFrom(account: Address, nonce: number): Promise<Intent[]>;
  /** Back to signed: the chain has dropped the block it was mined in. */
  reopen(id: string): Promise<Intent>;
}

/** What a transaction does, whatever its nonce and price. */
export interface Act {
  to: string;
  data: string;
  value: bigint;
}

/** The version that was signed last. */
export function lastAttempt({ id, attempts }: Intent): Attempt {
  const last = attempts.at(-1);
  if (!last) throw new Error(`Intent ${id} is signed but has no signed version`);
  return last;
}

/** What was asked for, before anything is signed. */
export function askedOf({ to, data, valueWei }: Pick<Intent, 'to' | 'data' | 'valueWei'>): Act {
  return { to, data, value: valueWei };
}

/** What the signed bytes do: the only truth about an intent that was begun more than once. */
export function actOf(intent: Intent): Act {
  const { to, data, value } = Transaction.from(lastAttempt(intent).raw);
  return { to: to ?? intent.to, data, value };
}

/**
 * For acts that may be repeated: one under way with the same content, or the next of its kind. They are numbered, so that of two
 * processes that begin the same at the same time one follows the other's.
 */
export async function beginAgain(intents: IntentStore, wanted: NewIntent): Promise<Intent> {
  const { account, key } = wanted;
  const act = askedOf(wanted);
  const pending = await intents.listPending(account);
  const twin = pending.find((intent) => intent.key.startsWith(`${key}:`) && isSameAct(actOf(intent), act));
  if (twin) return twin;
  for (let number = await intents.countLike(account, `${key}:`); ; number += 1) {
    const intent = await intents.begin({ ...wanted, key: `${key}:${number}` });
    if (isSameAct(askedOf(intent), act)) return intent;
  }
}

/** Whether two acts would do the same. */
function isSameAct(a: Act, b: Act): boolean {
  return a.to.toLowerCase() === b.to.toLowerCase() && a.data === b.data && a.value === b.value;
}

/** Whether both have the same signed versions. */
export function haveSameVersions(a: readonly Attempt[], b: readonly Attempt[]): boolean {
  return a.length === b.length && a.at(-1)?.hash === b.at(-1)?.hash;
}
