import { Transaction } from 'ethers';
import type { Address } from '../../domain/ids';
import type { Attempt, Intent, NewIntent } from '../../domain/intent';

/** What the sender remembers across crashes. */
export interface IntentStore {
  /** The intent of this account and key, made if it is new; one that failed begins afresh with the new content. */
  begin(intent: NewIntent): Promise<Intent>;
  find(account: Address, key: string): Promise<Intent | undefined>;
  /** How many of the account's keys begin with `start`. */
  countLike(account: Address, start: string): Promise<number>;
  get(id: string): Promise<Intent>;
  /**
   * Adds a signed version and returns the intent. `known` are the versions that the signer had seen: where another process has stored
   * others meanwhile, nothing is added and its intent is returned. Undefined if another intent of the account holds the
   * nonce (`holdsNonce`).
   */
  saveAttempt(id: string, nonce: number, attempt: Attempt, known: readonly Attempt[]): Promise<Intent | undefined>;
  markMined(id: string, hash: string): Promise<void>;
  /** Does nothing where another process has stored other versions than `known`, the ones that failed. */
  markFailed(id: string, reason: string, known: readonly Attempt[]): Promise<void>;
  /** All that are `signed`, lowest nonce first. */
  listPending(account: Address): Promise<Intent[]>;
  /** From `mined` to `final`. */
  markFinal(id: string): Promise<void>;
  /** All that are `mined`, lowest nonce first. */
  listMined(account: Address): Promise<Intent[]>;
  /** All that are `mined` or `final` and have this nonce or a higher one. */
  listMinedFrom(account: Address, nonce: number): Promise<Intent[]>;
  /** From `mined` or `final` back to `signed`: the chain has dropped the block that it was in. */
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

/** What the intent was begun for. */
export function requestedAct({ to, data, valueWei }: Pick<Intent, 'to' | 'data' | 'valueWei'>): Act {
  return { to, data, value: valueWei };
}

/** What the newest signed version does. Goes by its bytes, for these are what the chain may execute. */
export function signedAct(intent: Intent): Act {
  const { to, data, value } = Transaction.from(lastAttempt(intent).raw);
  return { to: to ?? intent.to, data, value };
}

/**
 * Begins an act that may be repeated: gives the intent that is under way with the same content, else a new one. New ones are numbered
 * (`key:0`, `key:1`, …), so that two processes that begin the same act at the same time get the same key, hence the same intent.
 */
export async function beginAgain(intents: IntentStore, wanted: NewIntent): Promise<Intent> {
  const { account, key } = wanted;
  const act = requestedAct(wanted);
  const pending = await intents.listPending(account);
  const twin = pending.find((intent) => intent.key.startsWith(`${key}:`) && isSameAct(signedAct(intent), act));
  if (twin) return twin;
  for (let number = await intents.countLike(account, `${key}:`); ; number += 1) {
    const intent = await intents.begin({ ...wanted, key: `${key}:${number}` });
    if (isSameAct(requestedAct(intent), act)) return intent;
  }
}

/** Whether two acts would do the same. */
function isSameAct(a: Act, b: Act): boolean {
  return a.to.toLowerCase() === b.to.toLowerCase() && a.data === b.data && a.value === b.value;
}
