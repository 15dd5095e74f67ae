import type { Address } from '../../domain/ids';
import type { Chain } from '../rpc/client';
import type { Wallet } from '../sending/wallet';

/** An account's word that somebody may carry to the contract, so that it needs no coin for gas itself. */
export interface SignedWithdrawal {
  account: Address;
  /** Who gets the tokens. */
  to: Address;
  amountWei: bigint;
  /** What the carrier gets out of the same credit, on top of the amount. */
  tipWei: bigint;
  /** Until when the signature is good, in Unix seconds. */
  deadline: number;
  signature: string;
}

const types = {
  Withdrawal: [
    { name: 'account', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'amount', type: 'uint256' },
    { name: 'tip', type: 'uint256' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
  ],
};

/** Signs a withdrawal from the wallet's own credit; it can be carried once. */
export async function signWithdrawal(
  wallet: Wallet,
  chain: Chain,
  withdrawal: Pick<SignedWithdrawal, 'to' | 'amountWei' | 'tipWei' | 'deadline'>,
): Promise<SignedWithdrawal> {
  const { to, amountWei: amount, tipWei: tip, deadline } = withdrawal;
  const account = wallet.address;
  const nonce = await chain.withdrawalNonce(account);
  const message = { account, to, amount, tip, nonce, deadline };
  const signature = await wallet.signFor({ name: 'EmethCore', address: chain.core }, types, message);
  return { ...withdrawal, account, signature };
}
