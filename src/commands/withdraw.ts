import type { Command } from 'commander';
import { type CommonOptions, example } from './options';
import { formatEmt, printJson, printLines, talk } from './print';

interface WithdrawOptions extends CommonOptions {
  to?: string | undefined;
  dryRun?: boolean | undefined;
}

export function registerWithdraw(program: Command): void {
  program
    .command('withdraw')
    .description("move this account's credit out of the contract, as EMT")
    .option('--to <address>', 'who receives it (default: the account itself)')
    .option('--dry-run', 'only show what would be moved, and what it would cost')
    .addHelpText(
      'after',
      example(
        'emeth withdraw',
        'emeth withdraw --config config/worker.json --to 0x90f79bf6eb2c4f870365e785982e1f101e93b906 --dry-run',
      ),
    )
    .action(withdraw);
}

async function withdraw(options: WithdrawOptions): Promise<void> {
  const { openAccount } = await import('./account.js');
  const { parseAddress } = await import('./arguments.js');
  const to = options.to === undefined ? undefined : parseAddress(options.to);
  await using account = await openAccount(options);
  const { chain, emeth } = account;
  const target = to ?? emeth.address;

  const creditBefore = await chain.credit(emeth.address);
  const facts = { account: emeth.address, to: target, amountWei: creditBefore, creditBefore };
  if (creditBefore === 0n || options.dryRun) {
    const gasWei = creditBefore === 0n ? 0n : await emeth.estimateWithdrawWei(target, creditBefore);
    if (options.json) return printJson({ ...facts, creditAfter: creditBefore, gasWei, sent: false });
    return talk(
      creditBefore === 0n
        ? `${emeth.address} has no credit to withdraw.`
        : `Would move ${formatEmt(creditBefore)} to ${target}, for about ${gasWei} wei of gas.`,
    );
  }
  const { hash } = await emeth.withdraw(target, creditBefore);
  const creditAfter = await chain.credit(emeth.address);
  if (options.json) return printJson({ ...facts, creditAfter, hash, sent: true });
  printLines(
    `moved   ${formatEmt(creditBefore)} to ${target}`,
    `credit  ${formatEmt(creditBefore)} before, ${formatEmt(creditAfter)} after`,
    `in      ${hash}`,
  );
}
