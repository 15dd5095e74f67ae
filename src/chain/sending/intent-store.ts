/** Intents as the sender uses them: the store it needs, and what an intent or its signed versions do. */
import { Transaction } from 'ethers';
import type { Address } from '../../domain/ids';
import type { Attempt, Intent, NewIntent } from '../../domain/intent';

/** Storage of intents that survives a crash. */
export interface IntentStore {
  /**
   * Returns the intent of this account and key, made if it is new; a failed one begins again with the new
   * content.
   */
  begin(intent: NewIntent): Promise<Intent>;
  find(account: Address, key: string): Promise<Intent | undefined>;
  /** Number of the account's keys that begin with `start`. */
  countLike(account: Address, start: string): Promise<number>;
  get(id: string): Promise<Intent>;
  /**
   * Adds a signed version and returns the intent. `known` are the versions that the signer had seen: if
   * another process has stored others meanwhile, nothing is added and its intent is returned. Returns
   * undefined if another intent of the account holds the nonce (`holdsNonce`).
   */
  saveAttempt(id: string, nonce: number, attempt: Attempt, known: readonly Attempt[]): Promise<Intent | undefined>;
  markMined(id: string, hash: string): Promise<void>;
  /** Does nothing if another process has stored other versions than `known`, the ones that failed. */
  markFailed(id: string, reason: string, known: readonly Attempt[]): Promise<void>;
  /** Intents in state `signed`, lowest nonce first. */
  listPending(account: Address): Promise<Intent[]>;
  /** Moves an intent from `mined` to `final`. */
  markFinal(id: string): Promise<void>;
  /** Intents in state `mined`, lowest nonce first. */
  listMined(account: Address): Promise<Intent[]>;
  /** Intents in state `mined` or `final` with this nonce or a higher one. */
  listMinedFrom(account: Address, nonce: number): Promise<Intent[]>;
  /**
   * Moves an intent from `mined` or `final` back to `signed`, after a reorganisation has dropped its block.
   */
  reopen(id: string): Promise<Intent>;
}

/** The effect of a transaction, regardless of its nonce and price. */
export interface Act {
  to: string;
  data: string;
  value: bigint;
}

/** Returns the newest signed version. */
export function lastAttempt({ id, attempts }: Intent): Attempt {
  const last = attempts.at(-1);
  if (!last) throw new Error(`Intent ${id} is signed but has no signed version`);
  return last;
}

/** Returns the act that the intent was begun for. */
export function requestedAct({ to, data, valueWei }: Pick<Intent, 'to' | 'data' | 'valueWei'>): Act {
  return { to, data, value: valueWei };
}

/** Returns the act of the newest signed version, from its bytes, which are what the chain may execute. */
export function signedAct(intent: Intent): Act {
  const { to, data, value } = Transaction.from(lastAttempt(intent).raw);
  return { to: to ?? intent.to, data, value };
}

/**
 * Begins an act that may be repeated. Returns the pending intent with the same content, or else a new one.
 * New ones are numbered (`key:0`, `key:1`, …), so that two processes that begin the same act at the same time
 * get the same key, and hence the same intent.
 */
export async function beginAgain(intents: IntentStore, wanted: NewIntent): Promise<Intent> {
  const { account, key } = wanted;
  const act = requestedAct(wanted);
  const pending = await intents.listPending(account);
  const same = pending.find((intent) => intent.key.startsWith(`${key}:`) && isSameAct(signedAct(intent), act));
  if (same) return same;
  for (let number = await intents.countLike(account, `${key}:`); ; number += 1) {
    const intent = await intents.begin({ ...wanted, key: `${key}:${number}` });
    if (isSameAct(requestedAct(intent), act)) return intent;
  }
}

/** True when an intent's key is `key`, or that of one of the numbered acts under it. */
export function isOfKey(intentKey: string, key: string): boolean {
  return intentKey === key || intentKey.startsWith(`${key}:`);
}

/** True when both acts have the same effect. */
function isSameAct(a: Act, b: Act): boolean {
  return a.to.toLowerCase() === b.to.toLowerCase() && a.data === b.data && a.value === b.value;
}
