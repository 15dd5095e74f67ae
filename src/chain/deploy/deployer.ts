import { setTimeout as delay } from 'node:timers/promises';
import type { Signer, TransactionReceipt, TransactionResponse } from 'ethers';
import { Address } from '../../domain/ids';
import { EndpointPool } from '../rpc/endpoint-pool';
import { FailoverProvider } from '../rpc/failover-provider';
import { type KeySource, openWallet } from '../sending/wallet';

export interface Deployer {
  readonly address: Address;
  /** Asks the chain for the next nonce each time it is given none; who needs several says them itself. */
  readonly signer: Signer;
  close(): void;
}

const POLL_MS = 200;

/**
 * The receipt, once there is one; throws when the transaction was reverted. ethers' own `wait` looks again only when a block comes: on a
 * chain that mines at once what it is sent, the one block may have come before `wait` began to watch, and it waits for ever.
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
 * An account for one deployment, at one Ethereum node or several of one chain. A key that everybody knows is refused on any but a
 * development chain.
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
