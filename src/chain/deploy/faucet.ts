/** Gives coin and EMT to other accounts, for development chains and tests. */
import { Contract } from 'ethers';
import type { Address } from '../../domain/ids';
import { emethTokenAbi } from '../generated/emeth-token';
import type { KeySource } from '../sending/wallet';
import { minedReceipt, openDeployer } from './deployer';

export interface Gift {
  to: Address;
  /** Amount of the chain's own coin, for gas. */
  ethWei: bigint;
  emtWei: bigint;
}

/** Sends coin and EMT from one account to others, one after another. */
export async function fundAccounts(
  endpoint: string,
  source: KeySource,
  token: Address,
  gifts: readonly Gift[],
): Promise<void> {
  const giver = await openDeployer(endpoint, source);
  try {
    const emt = new Contract(token, emethTokenAbi, giver.signer);
    for (const { to, ethWei, emtWei } of gifts) {
      if (ethWei > 0n) await minedReceipt(await giver.signer.sendTransaction({ to, value: ethWei }));
      if (emtWei > 0n) await minedReceipt(await emt.getFunction('transfer').send(to, emtWei));
    }
  } finally {
    giver.close();
  }
}
