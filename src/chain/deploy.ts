import { type BaseContract, ContractFactory, getCreateAddress, type InterfaceAbi, type Signer } from 'ethers';
import { Address } from '../domain/ids';
import { AppError } from '../lib/errors';
import { emethCoreAbi, emethCoreBytecode, emethCoreRuntime } from './generated/emeth-core';
import { emethTokenAbi, emethTokenBytecode, emethTokenRuntime } from './generated/emeth-token';
import { nodeRegistryAbi, nodeRegistryBytecode, nodeRegistryRuntime } from './generated/node-registry';
import { rewardPoolAbi, rewardPoolBytecode, rewardPoolRuntime } from './generated/reward-pool';

const EMT = 10n ** 18n;

/** The rules a new deployment starts with; rates in basis points, times in seconds. */
export const defaultTerms = {
  minFee: EMT,
  verifierBps: 500,
  penaltyBps: 2000,
  declineBps: 200,
  tipBps: 500,
  burnBps: 500,
  quorum: 1,
  minWork: 60,
  verdictWindow: 3600,
  claimWindow: 90 * 24 * 3600,
};

export interface DeployOptions {
  /** Gets the whole first supply. */
  holder: Address;
  supplyWei?: bigint | undefined;
  /** The supply never exceeds it; what it leaves above the first supply is the reward pool's to mint. */
  capWei?: bigint | undefined;
  admin: Address;
  verifiers: readonly Address[];
  terms?: Partial<typeof defaultTerms> | undefined;
  /** Least stake of a node. */
  minStakeWei?: bigint | undefined;
}

export interface Deployment {
  chainId: number;
  emethContractAddress: Address;
  tokenContractAddress: Address;
  registryContractAddress: Address;
  rewardPoolContractAddress: Address;
  /** Block of the deployment: nothing of ours is older. */
  fromBlock: number;
}

export type DeployError = { code: 'chain/deploy-failed'; step: string };

interface Artifact {
  name: string;
  abi: InterfaceAbi;
  bytecode: string;
  runtime: { code: string; filledIn: readonly { start: number; length: number }[] };
}

const artifacts = {
  token: { name: 'EmethToken', abi: emethTokenAbi, bytecode: emethTokenBytecode, runtime: emethTokenRuntime },
  core: { name: 'EmethCore', abi: emethCoreAbi, bytecode: emethCoreBytecode, runtime: emethCoreRuntime },
  registry: {
    name: 'NodeRegistry',
    abi: nodeRegistryAbi,
    bytecode: nodeRegistryBytecode,
    runtime: nodeRegistryRuntime,
  },
  pool: { name: 'RewardPool', abi: rewardPoolAbi, bytecode: rewardPoolBytecode, runtime: rewardPoolRuntime },
} satisfies Record<string, Artifact>;

/**
 * Deploys token, escrow, node registry and reward pool, joins them and makes sure it all took. Throws `chain/deploy-failed` with
 * the step that did not.
 */
export async function deployContracts(signer: Signer, options: DeployOptions): Promise<Deployment> {
  const { holder, admin, verifiers, supplyWei = 100_000_000n * EMT, capWei = 1_000_000_000n * EMT } = options;
  const { minStakeWei = 10n * EMT } = options;
  const terms = { ...defaultTerms, ...options.terms };
  const token = await deploy(signer, artifacts.token, [holder, supplyWei, capWei]);
  const expectedRegistry = await nextButOne(signer);
  const core = await deploy(signer, artifacts.core, [token.address, admin, terms, verifiers, expectedRegistry]);
  const registry = await deploy(signer, artifacts.registry, [core.address, token.address, minStakeWei]);
  if (registry.address !== expectedRegistry) throw failed('deploying NodeRegistry where the escrow expects it');
  const poolArgs = [core.address, token.address, registry.address, capWei - supplyWei];
  const pool = await deploy(signer, artifacts.pool, poolArgs);
  await (await token.contract.getFunction('nameRewardPool').send(pool.address)).wait();

  await requireRoles(core.contract, admin, verifiers);
  const named = Address.parse(await token.contract.getFunction('rewardPool').staticCall());
  if (named !== pool.address) throw failed('naming the reward pool');
  return {
    chainId: Number((await signer.provider?.getNetwork())?.chainId),
    emethContractAddress: core.address,
    tokenContractAddress: token.address,
    registryContractAddress: registry.address,
    rewardPoolContractAddress: pool.address,
    fromBlock: token.blockNumber,
  };
}

/** Whether the code at an address is this version's, apart from what its constructor filled in. */
export function isOurCode(contract: keyof typeof artifacts, code: string): boolean {
  const { runtime } = artifacts[contract];
  return blank(code, runtime.filledIn) === blank(runtime.code, runtime.filledIn);
}

/** Escrow and registry must know each other: the registry's address follows from the account and its nonce. */
async function nextButOne(signer: Signer): Promise<Address> {
  const from = await signer.getAddress();
  const nonce = await signer.getNonce('pending');
  return Address.parse(getCreateAddress({ from, nonce: nonce + 1 }));
}

async function requireRoles(core: BaseContract, admin: Address, verifiers: readonly Address[]): Promise<void> {
  const read = (method: string, ...args: unknown[]) => core.getFunction(method).staticCall(...args);
  if (Address.parse(await read('defaultAdmin')) !== admin) throw failed(`naming administrator ${admin}`);
  const role = await read('VERIFIER_ROLE');
  for (const verifier of verifiers) {
    if (!(await read('hasRole', role, verifier))) throw failed(`naming verifier ${verifier}`);
  }
}

async function deploy(signer: Signer, { name, abi, bytecode, runtime }: Artifact, args: readonly unknown[]) {
  const contract = await new ContractFactory(abi, bytecode, signer).deploy(...args);
  const receipt = await contract.deploymentTransaction()?.wait();
  const address = await contract.getAddress();
  const code = (await signer.provider?.getCode(address)) ?? '0x';
  if (!receipt || blank(code, runtime.filledIn) !== blank(runtime.code, runtime.filledIn)) {
    throw failed(`deploying ${name}`);
  }
  return { contract, blockNumber: receipt.blockNumber, address: Address.parse(address) };
}

function blank(code: string, ranges: Artifact['runtime']['filledIn']): string {
  const digits = [...code.toLowerCase()];
  for (const { start, length } of ranges) digits.fill('0', 2 + 2 * start, 2 + 2 * (start + length));
  return digits.join('');
}

function failed(step: string): AppError<DeployError> {
  return new AppError(
    { code: 'chain/deploy-failed', step },
    `${step} did not work; look at the account's ETH and try again.`,
  );
}
