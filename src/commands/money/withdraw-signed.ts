/** Withdrawals for an account without coin for gas: it signs, and another account sends. */
import { z } from 'zod';
import type { Account } from '../../app/account';
import { signWithdrawal } from '../../chain/acts/withdrawal';
import { formatEmt, formatEth } from '../../domain/emt';
import { Address, Wei } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { readJsonFile } from '../../terminal/files';
import { printJson, printLines, talk } from '../../terminal/print';

/** How long a signature is valid, in seconds. */
const VALID_FOR_S = 24 * 3600;

/** A signed withdrawal as `emeth withdraw --sign` prints it. */
const SignedWithdrawalFile = z.strictObject({
  account: Address,
  to: Address,
  amountWei: Wei,
  tipWei: Wei,
  deadline: z.int().min(0),
  signature: z.string().regex(/^0x[0-9a-f]{130}$/),
});

/**
 * Prints a signed withdrawal of all credit. Claims would need a transaction of their own first, so a
 * signature covers the credit only.
 */
export async function signCredit(account: Account, to: Address, tipWei: bigint): Promise<void> {
  const creditWei = await account.chain.credit(account.emeth.address);
  if (creditWei <= tipWei) throw tooLittle(creditWei, tipWei);
  const deadline = Math.floor((await account.chain.nowMs()) / 1000) + VALID_FOR_S;
  const content = { to, amountWei: creditWei - tipWei, tipWei, deadline };
  printJson(await signWithdrawal(account.wallet, account.chain, content));
  talk('The signature is valid for a day. Anybody may send it with: emeth withdraw --relay FILE');
}

function tooLittle(creditWei: bigint, tipWei: bigint): AppError {
  const remedy = creditWei === 0n ? 'there is nothing to sign for' : 'name a smaller --tip';
  return new AppError(
    { code: 'withdraw/too-little', creditWei, tipWei },
    `The credit of ${formatEmt(creditWei)} does not pay for a tip of ${formatEmt(tipWei)}; ${remedy}.`,
  );
}

/** Sends what another account signed, and waits until it is final. */
export async function relaySigned(
  { emeth, sender }: Account,
  file: string,
  options: { dryRun?: boolean | undefined; json?: boolean | undefined },
): Promise<void> {
  const withdrawal = await readJsonFile('--relay', file, SignedWithdrawalFile);
  const gasWei = await emeth.estimateRelayWei(withdrawal);
  talk(gasWei === 0n ? 'It was sent before; nothing more is sent.' : `It costs about ${formatEth(gasWei)} of gas.`);
  const { hash } = options.dryRun ? { hash: undefined } : await sender.settle((await emeth.relay(withdrawal)).hash);
  if (options.json) return printJson({ ...withdrawal, gasWei, hash, sent: hash !== undefined });
  printLines(
    `moved    ${formatEmt(withdrawal.amountWei)} of ${withdrawal.account} to ${withdrawal.to}`,
    `tip      ${formatEmt(withdrawal.tipWei)}, credit of ${emeth.address}`,
    `in       ${hash ?? 'nothing yet: --dry-run'}`,
  );
}
