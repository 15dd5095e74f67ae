/** Permits (ERC-2612): an allowance signed into the transaction that needs it. */
import { Signature } from 'ethers';
import type { Chain } from '../rpc/client';
import type { Wallet } from '../sending/wallet';

const types = {
  Permit: [
    { name: 'owner', type: 'address' },
    { name: 'spender', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
  ],
};

/** The arguments of `requestWithPermit` after the job. */
export type Permit = [value: bigint, deadline: bigint, v: number, r: string, s: string];

/**
 * Signs a permit for the escrow to take this much of the wallet's tokens. It is part of the transaction that
 * needs it; an approval would be a transaction of its own.
 */
export async function signPermit(chain: Chain, wallet: Wallet, valueWei: bigint, deadline: bigint): Promise<Permit> {
  const { name, nonce } = await chain.permitFacts(wallet.address);
  const message = { owner: wallet.address, spender: chain.core, value: valueWei, nonce, deadline };
  const { v, r, s } = Signature.from(await wallet.signFor({ name, address: chain.token }, types, message));
  return [valueWei, deadline, v, r, s];
}
