import type { Signer } from 'ethers';
import { Address } from '../domain/ids';
import { EndpointPool, FailoverProvider } from './endpoints';
import { type KeySource, openWallet } from './wallet';

export interface Deployer {
  readonly address: Address;
  /** Asks the chain for the next nonce each time it is given none; who needs several says them itself. */
  readonly signer: Signer;
  close(): void;
}

/**
 * An account for one deployment, at one Ethereum node or several of one chain. A key that everybody knows is refused on any but a
 * development chain.
 */
export async function openDeployer(endpoint: string | readonly string[], source: KeySource): Promise<Deployer> {
  const provider = new FailoverProvider(await EndpointPool.open({ endpoint }));
  provider.pollingInterval = 200;
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
