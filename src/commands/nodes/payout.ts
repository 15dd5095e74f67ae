import type { Command } from 'commander';
import { describeNode, nodeOrOwn, parseNamed, requireNode, requireRegistry } from '../../app/registry';
import type { Operator } from '../../chain/acts/operator';
import type { Address } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { type CommonOptions, example } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

interface PayoutOptions extends CommonOptions {
  nodeAddr?: string | undefined;
  to?: string | undefined;
  confirm?: boolean | undefined;
  cancel?: boolean | undefined;
}

export function registerPayout(program: Command): void {
  program
    .command('payout')
    .description("change a node's payout wallet: propose another, and confirm as that wallet two days later")
    .option('--node-addr <address>', 'the node (default: the account of the configuration)')
    .option('--to <address>', 'as the operator: propose this wallet')
    .option('--confirm', 'as the proposed wallet: take over')
    .option('--cancel', 'as the operator or the present wallet: call the change off')
    .addHelpText(
      'after',
      example(
        'emeth payout --to 0x90f79bf6eb2c4f870365e785982e1f101e93b906',
        'emeth payout --node-addr 0x15d3… --confirm --config config/cold.json',
      ),
    )
    .action(payout);
}

async function payout(options: PayoutOptions): Promise<void> {
  const { openAccount } = await import('../../app/account.js');
  const { openOperator } = await import('../../chain/acts/operator.js');
  const to = options.to === undefined ? undefined : await parseNamed(options.to);
  await using account = await openAccount(options);
  const registry = await requireRegistry(account.chain);
  const { node } = await requireNode(registry, await nodeOrOwn(options.nodeAddr, account));
  const { hash } = await change(openOperator(account.chain, registry, account.sender), node, to, options);
  const after = await requireNode(registry, node);
  if (options.json) return printJson({ ...after, hash });
  printLines(...describeNode(after));
}

function change(
  operator: Operator,
  node: Address,
  to: Address | undefined,
  { confirm, cancel }: PayoutOptions,
): Promise<{ hash: string }> {
  const asked = [to !== undefined, confirm === true, cancel === true].filter(Boolean).length;
  if (asked !== 1) {
    throw new AppError({ code: 'usage/payout' }, 'Say exactly one of --to <address>, --confirm and --cancel.');
  }
  if (to !== undefined) return operator.proposePayout(node, to);
  return confirm ? operator.confirmPayout(node) : operator.cancelPayoutChange(node);
}
