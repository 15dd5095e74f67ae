/** When a chain block counts as final: treated as one that no reorganisation can remove. */
import type { EndpointPool } from './endpoint-pool';
import { RpcError } from './rpc';

/** The rule for final blocks. */
export interface Finality {
  /** Number of blocks on top of a block that make it final. 0 is for chains that never reorganise. */
  confirmations: number;
  /** Use the chain's own `finalized` tag if it has one, and `confirmations` only if it has none. */
  preferTag?: boolean | undefined;
  /** Remembers that the chain has the tag. */
  memory?: TagMemory | undefined;
}

/** What is known of a chain's `finalized` tag for longer than a process lives. */
export interface TagMemory {
  hasTag(): Promise<boolean>;
  noteTag(): Promise<void>;
}

/** The chain has a `finalized` tag, but its node does not say now which block that is. Asking later helps. */
export class FinalityUnknown extends Error {
  override readonly name = 'FinalityUnknown';

  constructor(cause: unknown) {
    super(
      'The Ethereum node does not say which chain block is final, so nothing is done yet; check that it is synced and ' +
        'its consensus client runs, or set `confirmations` if the chain has no finality of its own',
      { cause },
    );
  }
}

/** Errors of nodes that do not know the tag at all. Other errors may pass. */
const NO_TAG =
  /invalid (block|argument|param|tag|hex)|unsupported|not supported|hex string without 0x|missing 0x|cannot unmarshal|unknown (block )?tag/i;
const NO_TAG_CODES: readonly number[] = [-32601, -32602];

/**
 * Returns the number of the newest final block. Throws `FinalityUnknown` where the chain knows the tag, or
 * did at any time, and does not name a block now: counting blocks would then believe what the chain may
 * still drop.
 */
export async function finalNumber(
  { confirmations, preferTag, memory }: Finality,
  nodes: Pick<EndpointPool, 'ask'>,
  head: () => Promise<number>,
  signal?: AbortSignal,
): Promise<number> {
  if (!preferTag) return (await head()) - confirmations;
  const tagged = await askTag(nodes, signal);
  if (typeof tagged === 'number') {
    await memory?.noteTag();
    return tagged;
  }
  if (tagged.isUnknown && !(await memory?.hasTag())) return (await head()) - confirmations;
  throw new FinalityUnknown(tagged.error);
}

/** Returns the tagged block's number, or why there is none. */
async function askTag(
  nodes: Pick<EndpointPool, 'ask'>,
  signal: AbortSignal | undefined,
): Promise<number | { isUnknown: boolean; error?: unknown }> {
  try {
    const { result } = await nodes.ask<{ number: string } | null>('eth_getBlockByNumber', ['finalized', false], {
      signal,
    });
    const number = Number(result?.number ?? Number.NaN);
    return Number.isSafeInteger(number) ? number : { isUnknown: false };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return { isUnknown: NO_TAG_CODES.includes(error.code) || NO_TAG.test(error.message), error };
  }
}
