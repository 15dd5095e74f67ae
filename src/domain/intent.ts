/** Intents: acts of an account on chain, each done exactly once, and when an act holds its nonce. */
import type { Address } from './ids';

/**
 * One signed version of a transaction. A later version has the same nonce and a higher fee, or a new nonce.
 */
export interface Attempt {
  hash: string;
  /** The signed bytes, in hex. */
  raw: string;
  maxFeePerGas: string;
  maxPriorityFeePerGas: string;
  atMs: number;
}

/** An act that an account does on chain, once. Every signed version is stored before it is sent. */
export interface Intent {
  id: string;
  account: Address;
  /** Name of the act, e.g. `0x…:submit`; unique for the account. */
  key: string;
  /** A reorganisation can turn `mined` into `signed` again, and an unexpectedly deep one even `final`. */
  state: 'created' | 'signed' | 'mined' | 'final' | 'failed';
  to: Address;
  data: string;
  valueWei: bigint;
  nonce?: number | undefined;
  attempts: Attempt[];
  minedHash?: string | undefined;
  /** Reason of the failure. */
  reason?: string | undefined;
}

export type NewIntent = Pick<Intent, 'account' | 'key' | 'to' | 'data' | 'valueWei'>;

/**
 * Longer than the time between asking for the next nonce and signing with it, and than two machines' clocks
 * differ.
 */
const HOLD_MS = 60_000;

/**
 * True when other signers must not use the intent's nonce now. A mined intent holds its nonce until a minute
 * after its signature: another process may have asked the chain for the next nonce before that, and not
 * signed yet. It does not hold it for ever, because a chain that was started anew counts from 0 again.
 */
export function holdsNonce({ state, attempts }: Intent, atMs: number): boolean {
  if (state === 'signed') return true;
  const isMined = state === 'mined' || state === 'final';
  return isMined && atMs - (attempts.at(-1)?.atMs ?? 0) < HOLD_MS;
}

/** True when both have the same signed versions. */
export function haveSameVersions(a: readonly Attempt[], b: readonly Attempt[]): boolean {
  return a.length === b.length && a.at(-1)?.hash === b.at(-1)?.hash;
}
