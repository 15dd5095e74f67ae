import { type Command, InvalidArgumentError } from 'commander';
import { nodeOrOwn, requireNode, requireRegistry } from '../../app/registry';
import { formatEmt } from '../../domain/emt';
import { amount, type CommonOptions, example } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

interface StakeOptions extends CommonOptions {
  amount: bigint;
  nodeAddr?: string | undefined;
}

export function registerStake(program: Command): void {
  program
    .command('stake')
    .description("add to a registered node's stake; its operator gets it back when the node is unregistered")
    .requiredOption('--amount <amount>', 'how much to add, e.g. 5emt', someAmount)
    .option('--node-addr <address>', 'the node (default: the account of the configuration)')
    .addHelpText('after', example('emeth stake --amount 5emt'))
    .action(stake);
}

async function stake(options: StakeOptions): Promise<void> {
  const { openAccount } = await import('../../app/account.js');
  const { openOperator } = await import('../../chain/acts/operator.js');
  await using account = await openAccount(options);
  const registry = await requireRegistry(account.chain);
  const { node, stakeWei: stakeBefore } = await requireNode(registry, await nodeOrOwn(options.nodeAddr, account));
  const { hash } = await openOperator(account.chain, registry, account.sender).addStake(node, options.amount);
  const { stakeWei } = await requireNode(registry, node);
  if (options.json) return printJson({ node, stakeBefore, stakeWei, hash });
  printLines(`stake  ${formatEmt(stakeBefore)} before, ${formatEmt(stakeWei)} now`, `in     ${hash}`);
}

/** What costs gas and changes nothing is a slip of the pen. */
function someAmount(text: string): bigint {
  const wei = amount(text);
  if (wei > 0n) return wei;
  throw new InvalidArgumentError('It must be more than nothing.');
}
