import type { Command } from 'commander';
import type { Address } from '../domain/ids';
import type { Account } from './account';
import { type CommonOptions, example } from './options';
import { formatEmt, printJson, printLines } from './print';

export function registerNode(program: Command): void {
  program
    .command('node')
    .description('show what an account has: credit in the contract, EMT, and coin for gas')
    .argument('[address]', "account to look at (default: the configuration's own)")
    .addHelpText('after', example('emeth node', 'emeth node 0x90f79bf6eb2c4f870365e785982e1f101e93b906 --json'))
    .action(node);
}

async function node(text: string | undefined, options: CommonOptions): Promise<void> {
  const { openReader } = await import('./account.js');
  const { parseAddress } = await import('./arguments.js');
  const given = text === undefined ? undefined : parseAddress(text);
  await using reader = await openReader(options);
  const { chain } = reader;
  const address = given ?? (await ownAddress(reader));
  const [creditWei, tokenWei, gasWei] = await Promise.all([
    chain.credit(address),
    chain.tokenBalance(address),
    chain.provider.getBalance(address),
  ]);
  if (options.json) return printJson({ address, chainId: chain.chainId, creditWei, tokenWei, gasWei });
  printLines(
    `address  ${address}`,
    `chain    ${chain.chainId}`,
    `credit   ${formatEmt(creditWei)}   (move it with: emeth withdraw)`,
    `tokens   ${formatEmt(tokenWei)}`,
    `gas      ${gasWei} wei`,
  );
}

async function ownAddress({ config, dataDir, chain }: Pick<Account, 'config' | 'dataDir' | 'chain'>): Promise<Address> {
  const { openWallet } = await import('../chain/wallet.js');
  const { keyOf } = await import('./keys.js');
  return (await openWallet(keyOf(config, dataDir), chain.chainId)).address;
}
