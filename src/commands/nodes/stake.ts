/** `emeth stake`: adds to a registered node's stake. */
import { openAccount } from '../../app/account';
import { nodeOrOwn, requireNode, requireRegistry } from '../../app/registry';
import { openOperator } from '../../chain/acts/operator';
import { formatEmt } from '../../domain/emt';
import type { SendOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

interface StakeOptions extends SendOptions {
  amount: bigint;
  nodeAddr?: string | undefined;
}

export async function addStake(options: StakeOptions): Promise<void> {
  await using account = await openAccount(options);
  const registry = await requireRegistry(account.chain);
  const { node, stakeWei: stakeBefore } = await requireNode(registry, nodeOrOwn(options.nodeAddr, account));
  const { hash } = await openOperator(account.chain, registry, account.sender).addStake(node, options.amount);
  const { stakeWei } = await requireNode(registry, node);
  if (options.json) return printJson({ node, stakeBefore, stakeWei, hash });
  printLines(`stake  ${formatEmt(stakeBefore)} before, ${formatEmt(stakeWei)} now`, `in     ${hash}`);
}
