import { JsonRpcProvider, Network, NonceManager, type Signer } from 'ethers';
import { Address } from '../domain/ids';
import { askChainId } from './client';
import { type KeySource, openWallet } from './wallet';

export interface Deployer {
  readonly address: Address;
  readonly signer: Signer;
  close(): void;
}

/** An account for one deployment. A key that everybody knows is refused on any but a development chain. */
export async function openDeployer(endpoint: string, source: KeySource): Promise<Deployer> {
  const chainId = await askChainId({ endpoint });
  const wallet = await openWallet(source, chainId);
  const network = Network.from(chainId);
  const provider = new JsonRpcProvider(endpoint, network, {
    staticNetwork: network,
    batchMaxCount: 1,
    pollingInterval: 200,
  });
  return {
    address: Address.parse(wallet.address),
    signer: new NonceManager(wallet.signer.connect(provider)),
    close: () => provider.destroy(),
  };
}
