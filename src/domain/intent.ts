import type { Address } from './ids';

/** One signed version of a transaction; a later version has the same nonce and a higher fee, or a new nonce. */
export interface Attempt {
  hash: string;
  /** The signed bytes, in hex. */
  raw: string;
  maxFeePerGas: string;
  maxPriorityFeePerGas: string;
  atMs: number;
}

/** Something an account means to do on chain, once; every signed version of it is kept before it is sent. */
export interface Intent {
  id: string;
  account: Address;
  /** Names the act, e.g. `0x…:submit`; unique for the account. */
  key: string;
  /** A reorganisation can turn `mined`, and where it is deeper than anybody thought `final`, into `signed` again. */
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

export type NewIntent = Pick<Intent, 'account' | 'key' | 'to' | 'data' | 'valueWei'>;

/** More than lies between a question for the next nonce and the signature under it, and than clocks of two machines differ. */
const HOLD_MS = 60_000;

/**
 * Whether the intent keeps its nonce from others who sign at this time. One that is mined does so until a minute after its signature:
 * another process may have asked the chain for the next nonce before that, and not signed yet. Not for ever, for a chain that was
 * started anew counts from 0 again.
 */
export function holdsNonce({ state, attempts }: Intent, atMs: number): boolean {
  if (state === 'signed') return true;
  const isMined = state === 'mined' || state === 'final';
  return isMined && atMs - (attempts.at(-1)?.atMs ?? 0) < HOLD_MS;
}

/** Whether both have the same signed versions. */
export function haveSameVersions(a: readonly Attempt[], b: readonly Attempt[]): boolean {
  return a.length === b.length && a.at(-1)?.hash === b.at(-1)?.hash;
}
