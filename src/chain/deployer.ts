import { JsonRpcProvider, Network, NonceManager, type Signer } from 'ethers';
import { Address } from '../domain/ids';
import { AppError } from '../lib/errors';
import { askChainId } from './client';
import { type KeySource, openWallet } from './wallet';

export type DeployerError = { code: 'chain/public-dev-key'; chainId: number };

const DEV_CHAINS = new Set([31337, 1337]);
/** anvil's first account: everybody has its key. */
const DEV_ACCOUNT = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266';

export interface Deployer {
  readonly address: Address;
  readonly signer: Signer;
  close(): void;
}

/** An account for one deployment. A key that everybody knows is refused on any but a development chain. */
export async function openDeployer(endpoint: string, source: KeySource): Promise<Deployer> {
  const chainId = await askChainId({ endpoint });
  const wallet = await openWallet(source, chainId);
  if (wallet.address === DEV_ACCOUNT && !DEV_CHAINS.has(chainId)) {
    throw new AppError<DeployerError>(
      { code: 'chain/public-dev-key', chainId },
      `The development account's key is public and chain ${chainId} is not a development chain; use --private-key-file.`,
    );
  }
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
