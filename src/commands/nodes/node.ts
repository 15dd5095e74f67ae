/** `emeth node`: everything an account has, and its entry as a node. */
import { type Account, openReader } from '../../app/account';
import { keyOf } from '../../app/keys';
import { openRegistry } from '../../chain/acts/registry';
import { openWallet } from '../../chain/sending/wallet';
import { formatEmt } from '../../domain/emt';
import type { Address } from '../../domain/ids';
import { parseAddress } from '../../terminal/arguments';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';
import { describeIncentives, readIncentives } from './incentives';

export async function showNode(text: string | undefined, options: CommonOptions): Promise<void> {
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
  return (await openWallet(keyOf(config, dataDir), chain.chainId)).address;
}
