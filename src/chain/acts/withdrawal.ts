/** Withdrawals by signature, for accounts without the chain's coin. */
import type { Address } from '../../domain/ids';
import type { Chain } from '../rpc/client';
import type { Wallet } from '../sending/wallet';

/** A signed order to withdraw that any account may submit, so that its own needs no coin for gas. */
export interface SignedWithdrawal {
  account: Address;
  /** Receiver of the tokens. */
  to: Address;
  amountWei: bigint;
  /** Reward of the account that submits it, from the same credit, on top of the amount. */
  tipWei: bigint;
  /** Unix time until which the signature is valid, in seconds. */
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

/** Signs a withdrawal from the wallet's own credit; it is valid once. */
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
