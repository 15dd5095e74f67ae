/** `emeth payout`: changes a node's payout wallet in two steps, by two accounts. */
import { openAccount } from '../../app/account';
import { describeNode, nodeOrOwn, requireNode, requireRegistry } from '../../app/registry';
import { type Operator, openOperator } from '../../chain/acts/operator';
import type { Address } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { parseAddress } from '../../terminal/arguments';
import type { SendOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

interface PayoutOptions extends SendOptions {
  nodeAddr?: string | undefined;
  to?: string | undefined;
  confirm?: boolean | undefined;
  cancel?: boolean | undefined;
}

export async function changePayout(options: PayoutOptions): Promise<void> {
  const to = options.to === undefined ? undefined : parseAddress(options.to);
  await using account = await openAccount(options);
  const registry = await requireRegistry(account.chain);
  const { node } = await requireNode(registry, nodeOrOwn(options.nodeAddr, account));
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
    throw new AppError({ code: 'usage/payout' }, 'Name exactly one of --to <address>, --confirm and --cancel.');
  }
  if (to !== undefined) return operator.proposePayout(node, to);
  return confirm ? operator.confirmPayout(node) : operator.cancelPayoutChange(node);
}
