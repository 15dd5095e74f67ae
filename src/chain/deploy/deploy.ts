/** Deploys token, escrow, node registry and reward pool, and checks the result. */
import {
  type BaseContract,
  ContractFactory,
  getCreateAddress,
  type InterfaceAbi,
  isError,
  type Signer,
  ZeroAddress,
} from 'ethers';
import { Address } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { emethCoreAbi, emethCoreBytecode, emethCoreRuntime } from '../generated/emeth-core';
import { emethTokenAbi, emethTokenBytecode, emethTokenRuntime } from '../generated/emeth-token';
import { nodeRegistryAbi, nodeRegistryBytecode, nodeRegistryRuntime } from '../generated/node-registry';
import { rewardPoolAbi, rewardPoolBytecode, rewardPoolRuntime } from '../generated/reward-pool';
import { minedReceipt } from './deployer';

const EMT = 10n ** 18n;

/** Initial terms of a deployment; rates in basis points, times in seconds. */
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
  /** Receiver of the whole initial supply. */
  holder: Address;
  supplyWei?: bigint | undefined;
  /** Upper bound of the supply; the reward pool may mint the difference to the initial supply. */
  capWei?: bigint | undefined;
  admin: Address;
  verifiers: readonly Address[];
  terms?: Partial<typeof defaultTerms> | undefined;
  /** Minimum stake of a node. */
  minStakeWei?: bigint | undefined;
}

/** Addresses of a deployment's contracts. */
export interface Places {
  chainId: number;
  emethContractAddress: Address;
  tokenContractAddress: Address;
  registryContractAddress: Address;
  rewardPoolContractAddress: Address;
}

export interface Deployment extends Places {
  /** Block of the deployment; its contracts have no older events. */
  fromBlock: number;
}

/** A deployment before its first transaction. Its addresses follow from the account and its nonces. */
export interface DeploymentPlan {
  deployer: Address;
  /** Nonce of the first transaction; the others follow without a gap. */
  firstNonce: number;
  places: Places;
}

export type DeployError = { code: 'chain/deploy-failed'; step: string } | { code: 'chain/too-old'; fork: string };

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

/** Returns the addresses that the contracts will have if the account sends nothing else until then. */
export async function planDeployment(signer: Signer): Promise<DeploymentPlan> {
  const deployer = Address.parse(await signer.getAddress());
  const firstNonce = await signer.getNonce('pending');
  const place = (nth: number) => Address.parse(getCreateAddress({ from: deployer, nonce: firstNonce + nth }));
  return {
    deployer,
    firstNonce,
    places: {
      chainId: Number((await signer.provider?.getNetwork())?.chainId),
      tokenContractAddress: place(0),
      emethContractAddress: place(1),
      registryContractAddress: place(2),
      rewardPoolContractAddress: place(3),
    },
  };
}

/**
 * Deploys and connects the contracts, and checks the result. Throws `chain/too-old`, and
 * `chain/deploy-failed` with the step that failed.
 */
export async function deployContracts(
  signer: Signer,
  options: DeployOptions,
  plan?: DeploymentPlan,
): Promise<Deployment> {
  const { holder, admin, verifiers, supplyWei = 100_000_000n * EMT, capWei = 1_000_000_000n * EMT } = options;
  const { minStakeWei = 10n * EMT } = options;
  const terms = { ...defaultTerms, ...options.terms };
  const { firstNonce, places } = plan ?? (await planDeployment(signer));
  const { tokenContractAddress: token, emethContractAddress: core, registryContractAddress: registry } = places;
  const pool = places.rewardPoolContractAddress;
  await requireForks(signer);
  const step = (nth: number, artifact: Artifact, at: Address, args: readonly unknown[]) =>
    deploy(signer, artifact, { nonce: firstNonce + nth, at }, args);

  const money = await step(0, artifacts.token, token, [holder, supplyWei, capWei]);
  const escrow = await step(1, artifacts.core, core, [token, admin, terms, verifiers, registry]);
  const nodes = await step(2, artifacts.registry, registry, [core, token, minStakeWei]);
  const rewards = await step(3, artifacts.pool, pool, [core, token, registry, capWei - supplyWei]);
  await attempt('naming the reward pool', async () => {
    const naming = money.contract.getFunction('nameRewardPool').send(pool, { nonce: firstNonce + 4 });
    await minedReceipt(await naming);
  });

  await requireFacts('EmethToken', money.contract, {
    cap: capWei,
    totalSupply: supplyWei,
    rewardPool: pool,
    deployer: ZeroAddress,
  });
  await requireFacts('EmethCore', escrow.contract, { token, registry, defaultAdmin: admin });
  await requireTerms(escrow.contract, terms);
  await requireVerifiers(escrow.contract, verifiers);
  await requireFacts('NodeRegistry', nodes.contract, { core, token, minStake: minStakeWei });
  await requireFacts('RewardPool', rewards.contract, { core, token, registry, cap: capWei - supplyWei });
  return { ...places, fromBlock: money.blockNumber };
}

/** True when the code at an address is this version's, apart from what its constructor filled in. */
export function isOwnCode(contract: keyof typeof artifacts, code: string): boolean {
  const { runtime } = artifacts[contract];
  return blank(code, runtime.filledIn) === blank(runtime.code, runtime.filledIn);
}

/** Code of the opcodes that the contracts use, by the version of Ethereum that brought them. */
const forks = { Shanghai: '0x5f00', Cancun: '0x5f5f5f5e00' };

/** Throws `chain/too-old` on a chain without opcodes that the contracts use. */
async function requireForks(signer: Signer): Promise<void> {
  for (const [fork, data] of Object.entries(forks)) {
    try {
      await signer.provider?.call({ data });
    } catch (cause) {
      if (!isError(cause, 'CALL_EXCEPTION')) throw failed('checking the chain', cause);
      throw new AppError<DeployError>(
        { code: 'chain/too-old', fork },
        `This chain is older than Ethereum's ${fork}, and the contracts need Shanghai and Cancun; update the chain, or ` +
          'use another one (anvil: --hardfork cancun).',
        { cause },
      );
    }
  }
}

/** Throws unless the contract's views without arguments return these values. */
async function requireFacts(
  name: string,
  contract: BaseContract,
  facts: Readonly<Record<string, string | bigint>>,
): Promise<void> {
  for (const [view, expected] of Object.entries(facts)) {
    requireSame(`${name}.${view}`, await contract.getFunction(view).staticCall(), expected);
  }
}

async function requireTerms(core: BaseContract, terms: typeof defaultTerms): Promise<void> {
  const current = await core.getFunction('currentTerms').staticCall();
  const found = (await core.getFunction('terms').staticCall(current)) as Record<string, unknown>;
  for (const [name, expected] of Object.entries(terms)) requireSame(`EmethCore.terms.${name}`, found[name], expected);
}

async function requireVerifiers(core: BaseContract, verifiers: readonly Address[]): Promise<void> {
  const role = await core.getFunction('VERIFIER_ROLE').staticCall();
  for (const verifier of verifiers) {
    requireSame(`verifier ${verifier}`, await core.getFunction('hasRole').staticCall(role, verifier), true);
  }
}

function requireSame(step: string, found: unknown, expected: string | bigint | number | boolean): void {
  if (String(found).toLowerCase() === String(expected).toLowerCase()) return;
  throw new AppError<DeployError>(
    { code: 'chain/deploy-failed', step },
    `After deploying, ${step} is ${found} instead of ${expected}, so do not use these contracts; check the Ethereum node and deploy again.`,
  );
}

async function deploy(
  signer: Signer,
  { name, abi, bytecode, runtime }: Artifact,
  { nonce, at }: { nonce: number; at: Address },
  args: readonly unknown[],
) {
  const step = `deploying ${name}`;
  return attempt(step, async () => {
    const contract = await new ContractFactory(abi, bytecode, signer).deploy(...args, { nonce });
    const sent = contract.deploymentTransaction();
    if (!sent) throw failed(step);
    const receipt = await minedReceipt(sent);
    const code = (await signer.provider?.getCode(at)) ?? '0x';
    if (blank(code, runtime.filledIn) !== blank(runtime.code, runtime.filledIn)) throw otherCode(step, at);
    return { contract, blockNumber: receipt.blockNumber };
  });
}

function otherCode(step: string, at: Address): AppError<DeployError> {
  return new AppError(
    { code: 'chain/deploy-failed', step },
    `After ${step}, the code at ${at} is not what was sent, so do not use these contracts; check the Ethereum node and deploy again.`,
  );
}

async function attempt<T>(step: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof AppError ? error : failed(step, error);
  }
}

function blank(code: string, ranges: Artifact['runtime']['filledIn']): string {
  const digits = [...code.toLowerCase()];
  for (const { start, length } of ranges) digits.fill('0', 2 + 2 * start, 2 + 2 * (start + length));
  return digits.join('');
}

function failed(step: string, cause?: unknown): AppError<DeployError> {
  const remedy = isError(cause, 'NONCE_EXPIRED')
    ? 'the account sent another transaction meanwhile; use it for nothing else, and deploy again'
    : "check the account's ETH and try again";
  return new AppError({ code: 'chain/deploy-failed', step }, `${step} failed; ${remedy}.`, { cause });
}
