/** The seed of a verifier's draw: a block hash that nobody could know when the result was submitted. */
import type { Chain } from '../chain/rpc/client';
import type { EndpointPool } from '../chain/rpc/endpoint-pool';
import { type Finality, FinalityUnknown, finalNumber } from '../chain/rpc/finality';
import { minesOnDemand } from '../domain/dev-chain';
import type { Clock } from '../lib/clock';
import { AppError } from '../lib/errors';

export type DrawSeedError = { code: 'chain/block-not-final'; block: number };

interface DrawSeedDeps {
  chain: Pick<Chain, 'chainId' | 'headBlock' | 'blockHash'> & { endpoints: Pick<EndpointPool, 'ask'> };
  finality: Finality;
  clock: Clock;
  signal: AbortSignal;
}

const POLL_MS = 2000;
/** After this the verifier turns to its other jobs, and asks again later. */
const MAX_WAIT_MS = 60_000;

/**
 * Returns the hash of the first block after that of `submit`, once it is final. Where blocks come only with
 * transactions there may be no such block, so there it is that of `submit` itself. Throws
 * `chain/block-not-final`.
 */
export async function findDrawSeed(submitBlock: number, deps: DrawSeedDeps): Promise<string> {
  const { chain, clock, signal } = deps;
  const block = minesOnDemand(chain.chainId) ? submitBlock : submitBlock + 1;
  for (const endMs = clock.now() + MAX_WAIT_MS; ; await clock.sleep(POLL_MS, signal)) {
    const hash = (await isFinal(block, deps)) ? await chain.blockHash(block) : undefined;
    if (hash) return hash;
    if (clock.now() >= endMs) break;
  }
  throw new AppError<DrawSeedError>(
    { code: 'chain/block-not-final', block },
    `Block ${block} is not final yet; its hash decides which leases are done again.`,
  );
}

async function isFinal(block: number, { chain, finality, signal }: DrawSeedDeps): Promise<boolean> {
  try {
    return block <= (await finalNumber(finality, chain.endpoints, () => chain.headBlock(), signal));
  } catch (error) {
    if (error instanceof FinalityUnknown) return false;
    throw error;
  }
}
