/** Reads of one deployment: the connection to its chain, and the views of escrow and token. */
import { Contract, type EventFilter, id, isError, type JsonRpcProvider, type Log } from 'ethers';
import { partOf } from '../../domain/fuel';
import { Address, type JobId } from '../../domain/ids';
import { type ChainState, chainStates } from '../../domain/job';
import { type Clock, systemClock } from '../../lib/clock';
import { AppError } from '../../lib/errors';
import { type CoreEvent, coreInterface, decodeEvent } from '../contract/events';
import { emethTokenAbi } from '../generated/emeth-token';
import type { EndpointDeps } from './endpoint';
import { type EndpointError, type EndpointOptions, EndpointPool } from './endpoint-pool';
import { FailoverProvider } from './failover-provider';

export type ChainError =
  | EndpointError
  | { code: 'chain/no-code'; name: string; address: string }
  | { code: 'chain/unknown-state'; jobId: JobId; state: number };

export interface ChainOptions extends EndpointOptions {
  core: Address;
  token: Address;
}

/** The contract's name for the accounts that may verify. */
const VERIFIER_ROLE = id('VERIFIER_ROLE');

/** A job in the contract's state. */
export interface ChainJob {
  state: ChainState;
  requester: Address;
  node?: Address | undefined;
  feeWei: bigint;
  fuelLimit: bigint;
  /** End of the current window: for work, for the verdict, or for claims. */
  deadlineMs: number;
  payoutWei: bigint;
  /** What the contract stores of a result, while it stands or may yet: `0x` and 40 hex digits. */
  commitment?: string | undefined;
}

/** Reads of one deployment, opened by `openChain`. */
export interface Chain extends AsyncDisposable {
  readonly chainId: number;
  readonly core: Address;
  readonly token: Address;
  readonly provider: JsonRpcProvider;
  /** The nodes behind `provider`, for callers that must know which of them answered. */
  readonly endpoints: EndpointPool;
  job(jobId: JobId): Promise<ChainJob>;
  credit(account: Address): Promise<bigint>;
  tokenBalance(account: Address): Promise<bigint>;
  /** Amount of the owner's tokens that `spender` may take. */
  allowance(owner: Address, spender: Address): Promise<bigint>;
  /** The contract that decides which nodes may take jobs; undefined if any account may. */
  registry(): Promise<Address | undefined>;
  /** The contract that mints slot rewards; undefined if there is none. */
  rewardPool(): Promise<Address | undefined>;
  /**
   * The values that a permit over the token's allowance signs: the token's name and the account's next nonce.
   */
  permitFacts(owner: Address): Promise<{ name: string; nonce: bigint }>;
  /** Nonce of the account's next withdrawal by signature. */
  withdrawalNonce(account: Address): Promise<bigint>;
  /** True when the node may take jobs. */
  isActive(node: Address): Promise<boolean>;
  /** True when the account's attestations count. */
  isVerifier(account: Address): Promise<boolean>;
  /** How many verifiers must agree on the job's result. */
  quorumOf(jobId: JobId): Promise<number>;
  /** The bond for challenging a job's result, in wei. */
  bondOf(jobId: JobId): Promise<bigint>;
  /**
   * Amounts locked on top of a fee: the verifier's part, and what the job burns if all of its fee is paid
   * out.
   */
  extraFees(feeWei: bigint): Promise<{ verifierWei: bigint; burnWei: bigint }>;
  /** What the contract demands of a request now. */
  requestRules(): Promise<{ minFeeWei: bigint; minWorkMs: number }>;
  /**
   * The time that the next block will have at least, in Unix milliseconds: that of the newest block, or of
   * the own clock where it is later. A chain without empty blocks stands still between transactions.
   */
  nowMs(): Promise<number>;
  headBlock(): Promise<number>;
  /** Returns events in blocks [from, to], in order; with a job id, only those of that job. */
  events(from: number, to: number, jobId?: JobId): Promise<CoreEvent[]>;
  blockHash(number: number): Promise<string | undefined>;
}

/**
 * Connects to a deployment, and checks at every endpoint that answers that it is the configured one. Throws a
 * `ChainError` otherwise.
 */
export async function openChain(options: ChainOptions, deps: Partial<EndpointDeps> = {}): Promise<Chain> {
  const provider = new FailoverProvider(await EndpointPool.open(options, deps));
  try {
    await requireCode(provider, 'emethContractAddress', options.core);
    await requireCode(provider, 'tokenContractAddress', options.token);
  } catch (error) {
    provider.destroy();
    throw error;
  }
  return bind(provider, options, deps.clock ?? systemClock);
}

function bind(provider: FailoverProvider, { core, token }: ChainOptions, clock: Clock): Chain {
  const { endpoints } = provider;
  const coreContract = new Contract(core, coreInterface, provider);
  const tokenContract = new Contract(token, emethTokenAbi, provider);
  const read = async (contract: Contract, method: string, ...args: unknown[]): Promise<unknown> =>
    contract.getFunction(method).staticCall(...args);
  return {
    chainId: endpoints.chainId,
    core,
    token,
    provider,
    endpoints,
    job: async (jobId) => parseJob(jobId, (await read(coreContract, 'jobs', jobId)) as RawJob),
    credit: async (account) => (await read(coreContract, 'credit', account)) as bigint,
    tokenBalance: async (account) => (await read(tokenContract, 'balanceOf', account)) as bigint,
    allowance: async (owner, spender) => (await read(tokenContract, 'allowance', owner, spender)) as bigint,
    registry: async () => unlessZero(await read(coreContract, 'registry')),
    rewardPool: async () => unlessZero(await read(tokenContract, 'rewardPool')),
    permitFacts: async (owner) => ({
      name: (await read(tokenContract, 'name')) as string,
      nonce: (await read(tokenContract, 'nonces', owner)) as bigint,
    }),
    withdrawalNonce: async (account) => (await read(coreContract, 'nonces', account)) as bigint,
    isActive: async (node) => (await read(coreContract, 'isActive', node)) as boolean,
    isVerifier: async (account) => (await read(coreContract, 'hasRole', VERIFIER_ROLE, account)) as boolean,
    async quorumOf(jobId) {
      const { termsId } = (await read(coreContract, 'jobs', jobId)) as { termsId: bigint };
      const { quorum } = (await read(coreContract, 'terms', termsId)) as { quorum: bigint };
      return Number(quorum);
    },
    async bondOf(jobId) {
      const { fee, termsId } = (await read(coreContract, 'jobs', jobId)) as { fee: bigint; termsId: bigint };
      const { penaltyBps } = (await read(coreContract, 'terms', termsId)) as { penaltyBps: bigint };
      return partOf(fee, penaltyBps);
    },
    async extraFees(feeWei) {
      const terms = await read(coreContract, 'terms', await read(coreContract, 'currentTerms'));
      const { verifierBps, burnBps } = terms as { verifierBps: bigint; burnBps: bigint };
      return { verifierWei: partOf(feeWei, verifierBps), burnWei: partOf(feeWei, burnBps) };
    },
    async requestRules() {
      const terms = await read(coreContract, 'terms', await read(coreContract, 'currentTerms'));
      const { minFee, minWork } = terms as { minFee: bigint; minWork: bigint };
      return { minFeeWei: minFee, minWorkMs: Number(minWork) * 1000 };
    },
    async nowMs() {
      const blockMs = ((await provider.getBlock('latest'))?.timestamp ?? 0) * 1000;
      return Math.max(blockMs, clock.now());
    },
    headBlock: () => provider.getBlockNumber(),
    events: (from, to, jobId) => readEvents(provider, core, { from, to, jobId }),
    blockHash: async (number) => (await provider.getBlock(number))?.hash ?? undefined,
    async [Symbol.asyncDispose]() {
      provider.destroy();
    },
  };
}

/** Reads a range of events, in halves where the node refuses it as too wide. */
async function readEvents(
  provider: JsonRpcProvider,
  core: Address,
  { from, to, jobId }: { from: number; to: number; jobId: JobId | undefined },
): Promise<CoreEvent[]> {
  const topics: EventFilter['topics'] = jobId ? [null, jobId.padEnd(66, '0')] : [];
  try {
    const logs = await provider.getLogs({ address: core, fromBlock: from, toBlock: to, topics });
    return logs.sort(byPlace).flatMap((log) => decodeEvent(log) ?? []);
  } catch (error) {
    if (from >= to || !isError(error, 'UNKNOWN_ERROR')) throw error;
    const middle = Math.floor((from + to) / 2);
    const older = await readEvents(provider, core, { from, to: middle, jobId });
    return [...older, ...(await readEvents(provider, core, { from: middle + 1, to, jobId }))];
  }
}

interface RawJob {
  state: bigint;
  requester: string;
  node: string;
  fee: bigint;
  fuelLimit: bigint;
  deadline: bigint;
  payout: bigint;
  commitment: string;
}

function parseJob(jobId: JobId, raw: RawJob): ChainJob {
  return {
    state: chainStates[Number(raw.state)] ?? unknownState(jobId, Number(raw.state)),
    requester: Address.parse(raw.requester),
    node: unlessZero(raw.node),
    feeWei: raw.fee,
    fuelLimit: raw.fuelLimit,
    deadlineMs: Number(raw.deadline) * 1000,
    payoutWei: raw.payout,
    commitment: unlessZero(raw.commitment),
  };
}

function unknownState(jobId: JobId, state: number): never {
  throw new AppError<ChainError>(
    { code: 'chain/unknown-state', jobId, state },
    `Job ${jobId} is in state ${state} on chain, which this version does not know; update Emeth Node.`,
  );
}

/** Parses an address from a contract; undefined for zero, which means none in Solidity. */
export function unlessZero(address: unknown): Address | undefined {
  const parsed = Address.parse(address);
  return /^0x0+$/.test(parsed) ? undefined : parsed;
}

function byPlace(a: Log, b: Log): number {
  return a.blockNumber - b.blockNumber || a.index - b.index;
}

/**
 * Returns the chain id of an endpoint. Throws `chain/unreachable` or, when another chain was expected,
 * `chain/wrong-chain`.
 */
export async function askChainId(options: Pick<EndpointOptions, 'endpoint' | 'chainId'>): Promise<number> {
  const pool = await EndpointPool.open(options);
  pool.close();
  return pool.chainId;
}

async function requireCode(provider: JsonRpcProvider, name: string, address: Address): Promise<void> {
  if ((await provider.getCode(address)) !== '0x') return;
  throw new AppError<ChainError>(
    { code: 'chain/no-code', name, address },
    `There is no contract at ${address} (${name}) on this chain; correct the address, or run \`emeth deploy\`.`,
  );
}
