import { type BaseContract, ContractFactory, type Signer, type TransactionReceipt } from 'ethers';
import { Address } from '../domain/ids';
import { AppError } from '../lib/errors';
import { emethCoreAbi, emethCoreBytecode } from './generated/emeth-core';
import { emethTokenAbi, emethTokenBytecode } from './generated/emeth-token';

const EMT = 10n ** 18n;

/** The rules a new deployment starts with; rates in basis points, times in seconds. */
export const defaultTerms = {
  minFee: EMT,
  verifierBps: 500,
  penaltyBps: 2000,
  declineBps: 200,
  tipBps: 500,
  minWork: 60,
  verdictWindow: 3600,
  claimWindow: 90 * 24 * 3600,
};

export interface DeployOptions {
  /** Gets the whole first supply. */
  holder: Address;
  supplyWei?: bigint | undefined;
  capWei?: bigint | undefined;
  admin: Address;
  verifiers: readonly Address[];
  terms?: Partial<typeof defaultTerms> | undefined;
}

export interface Deployment {
  chainId: number;
  emethContractAddress: Address;
  tokenContractAddress: Address;
  /** Block of the deployment: nothing of ours is older. */
  fromBlock: number;
}

export type DeployError = { code: 'chain/deploy-failed'; step: string };

/** Deploys token and escrow, names the verifiers and makes sure it all took. */
export async function deployContracts(signer: Signer, options: DeployOptions): Promise<Deployment> {
  const { holder, admin, verifiers, supplyWei = 100_000_000n * EMT, capWei = 1_000_000_000n * EMT } = options;
  const terms = { ...defaultTerms, ...options.terms };
  const token = await deploy(signer, 'EmethToken', emethTokenAbi, emethTokenBytecode, [holder, supplyWei, capWei]);
  const args = [token.address, admin, terms, verifiers];
  const core = await deploy(signer, 'EmethCore', emethCoreAbi, emethCoreBytecode, args);
  await requireRoles(core.contract, admin, verifiers);
  return {
    chainId: Number((await signer.provider?.getNetwork())?.chainId),
    emethContractAddress: core.address,
    tokenContractAddress: token.address,
    fromBlock: token.receipt.blockNumber,
  };
}

async function requireRoles(core: BaseContract, admin: Address, verifiers: readonly Address[]): Promise<void> {
  const read = (method: string, ...args: unknown[]) => core.getFunction(method).staticCall(...args);
  if (Address.parse(await read('defaultAdmin')) !== admin) throw failed(`naming administrator ${admin}`);
  const role = await read('VERIFIER_ROLE');
  for (const verifier of verifiers) {
    if (!(await read('hasRole', role, verifier))) throw failed(`naming verifier ${verifier}`);
  }
}

async function deploy(
  signer: Signer,
  name: string,
  abi: typeof emethCoreAbi | typeof emethTokenAbi,
  bytecode: string,
  args: readonly unknown[],
) {
  const contract = await new ContractFactory(abi, bytecode, signer).deploy(...args);
  const receipt: TransactionReceipt | null = (await contract.deploymentTransaction()?.wait()) ?? null;
  const address = await contract.getAddress();
  if (!receipt || (await signer.provider?.getCode(address)) === '0x') throw failed(`deploying ${name}`);
  return { contract, receipt, address: Address.parse(address) };
}

function failed(step: string): AppError<DeployError> {
  return new AppError(
    { code: 'chain/deploy-failed', step },
    `${step} did not work; look at the account's ETH and try again.`,
  );
}
