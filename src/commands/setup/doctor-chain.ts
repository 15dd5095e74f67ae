/** The doctor's checks of the chain, its contracts and a node's entry. */
import { isOwnCode } from '../../chain/deploy/deploy';
import { type Chain, type ChainOptions, openChain } from '../../chain/rpc/client';
import type { Address } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { attempt, type Check } from './doctor-checks';

/**
 * Checks the Ethereum node and the contracts on its chain; for a node's own account also whether it may take
 * jobs.
 */
export async function checkChain(options: ChainOptions, node: Address | undefined): Promise<Check[]> {
  let chain: Chain | undefined;
  const check = await attempt('chain', 'node and both contracts', async () => {
    chain = await openChain(options);
    return `chain ${chain.chainId}, block ${await chain.headBlock()}`;
  });
  if (!chain) return [check];
  await using opened = chain;
  return [check, await checkCode(opened), ...(node ? [await checkNodeEntry(opened, node)] : [])];
}

/** Calls to a contract of another version fail, or worse, do something else. */
async function checkCode(chain: Chain): Promise<Check> {
  return attempt('contracts', "this version's code", async () => {
    for (const name of ['core', 'token'] as const) {
      if (isOwnCode(name, await chain.provider.getCode(chain[name]))) continue;
      throw new AppError(
        { code: 'doctor/other-code', address: chain[name] },
        `The code at ${chain[name]} is not this version's; use the version that deployed it, or deploy again.`,
      );
    }
    return 'as compiled here';
  });
}

async function checkNodeEntry(chain: Chain, node: Address): Promise<Check> {
  return attempt('registry', 'an active node', async () => {
    if (await chain.isActive(node)) return `${node} may take jobs`;
    throw new AppError(
      { code: 'doctor/not-active', node },
      `${node} is not an active node; register it with \`emeth register-node\`.`,
    );
  });
}
