/** An account that sends a few transactions one by one, without the sender's store. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Signer, TransactionReceipt, TransactionResponse } from 'ethers';
import { Address } from '../../domain/ids';
import { EndpointPool } from '../rpc/endpoint-pool';
import { FailoverProvider } from '../rpc/failover-provider';
import { type KeySource, openWallet } from '../sending/wallet';

export interface Deployer {
  readonly address: Address;
  /** Fetches the next nonce unless one is passed; callers that send several transactions pass them. */
  readonly signer: Signer;
  close(): void;
}

const POLL_MS = 200;

/**
 * Waits for the receipt; throws when the transaction was reverted. ethers' own `wait` looks again only at a
 * new block: on a chain that mines each transaction at once, the only block may come before `wait` starts,
 * and it then waits for ever.
 */
export async function minedReceipt({ hash, provider }: TransactionResponse): Promise<TransactionReceipt> {
  for (;;) {
    const receipt = await provider.getTransactionReceipt(hash);
    if (receipt?.status === 1) return receipt;
    if (receipt) throw new Error(`Transaction ${hash} was reverted in block ${receipt.blockNumber}`);
    await delay(POLL_MS);
  }
}

/**
 * Opens an account at one or several Ethereum nodes of one chain. A publicly known key is refused unless the
 * chain is for development.
 */
export async function openDeployer(endpoint: string | readonly string[], source: KeySource): Promise<Deployer> {
  const provider = new FailoverProvider(await EndpointPool.open({ endpoint }));
  try {
    const wallet = await openWallet(source, provider.endpoints.chainId);
    return {
      address: Address.parse(wallet.address),
      signer: wallet.signer.connect(provider),
      close: () => provider.destroy(),
    };
  } catch (error) {
    provider.destroy();
    throw error;
  }
}
