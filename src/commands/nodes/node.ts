import type { Command } from 'commander';
import type { Account } from '../../app/account';
import { formatEmt } from '../../domain/emt';
import type { Address } from '../../domain/ids';
import { type CommonOptions, example } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';
import { describeIncentives, readIncentives } from './incentives';

export function registerNode(program: Command): void {
  program
    .command('node')
    .description('show all that an account has: credit, deposits, rewards, EMT, coin for gas, and its entry as a node')
    .argument('[address]', "account to look at (default: the configuration's own)")
    .addHelpText('after', example('emeth node', 'emeth node 0x90f79bf6eb2c4f870365e785982e1f101e93b906 --json'))
    .action(node);
}

async function node(text: string | undefined, options: CommonOptions): Promise<void> {
  const { openReader } = await import('../../app/account.js');
  const { openRegistry } = await import('../../chain/acts/registry.js');
  const { parseAddress } = await import('../../terminal/arguments.js');
  const given = text === undefined ? undefined : parseAddress(text);
  await using reader = await openReader(options);
  const { chain, config } = reader;
  const address = given ?? (await ownAddress(reader));
  const registered = await (await openRegistry(chain))?.find(address);
  const incentives = await readIncentives(chain, address, config.fromBlock);
  const [tokenWei, gasWei] = await Promise.all([chain.tokenBalance(address), chain.provider.getBalance(address)]);
  if (options.json) {
    return printJson({ address, chainId: chain.chainId, ...incentives, tokenWei, gasWei, registered });
  }
  printLines(
    `address    ${address}`,
    `chain      ${chain.chainId}`,
    ...describeIncentives(incentives),
    `tokens     ${formatEmt(tokenWei)}`,
    `gas        ${gasWei} wei`,
    registered
      ? `registry   ${registered.status}, of ${registered.organisation}, stake ${formatEmt(registered.stakeWei)}, rewards to ${registered.payout}`
      : 'registry   not a node (emeth register-node)',
  );
}

async function ownAddress({ config, dataDir, chain }: Pick<Account, 'config' | 'dataDir' | 'chain'>): Promise<Address> {
  const { openWallet } = await import('../../chain/sending/wallet.js');
  const { keyOf } = await import('../../app/keys.js');
  return (await openWallet(keyOf(config, dataDir), chain.chainId)).address;
}
