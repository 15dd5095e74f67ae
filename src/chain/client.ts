import { Contract, type EventFilter, FetchRequest, JsonRpcProvider, type Log, Network } from 'ethers';
import { Address, type JobId } from '../domain/ids';
import { type ChainState, chainStates } from '../domain/job';
import { AppError } from '../lib/errors';
import { type CoreEvent, coreInterface, decodeEvent } from './events';
import { emethTokenAbi } from './generated/emeth-token';

export type ChainError =
  | { code: 'chain/unreachable'; endpoint: string }
  | { code: 'chain/wrong-chain'; endpoint: string; chainId: number; expected: number }
  | { code: 'chain/no-code'; name: string; address: string };

export interface ChainOptions {
  endpoint: string;
  core: Address;
  token: Address;
  /** If set, an endpoint of any other chain is refused. */
  chainId?: number | undefined;
}

/** A job as the contract has it. */
export interface ChainJob {
  state: ChainState;
  requester: Address;
  node?: Address | undefined;
  feeWei: bigint;
  fuelLimit: bigint;
  /** End of the present window: of work, of the verdict, of claiming. */
  deadlineMs: number;
  payoutWei: bigint;
}

/** Reads of one deployment. Open it with `openChain`. */
export interface Chain extends AsyncDisposable {
  readonly chainId: number;
  readonly core: Address;
  readonly token: Address;
  readonly provider: JsonRpcProvider;
  job(jobId: JobId): Promise<ChainJob>;
  credit(account: Address): Promise<bigint>;
  tokenBalance(account: Address): Promise<bigint>;
  allowance(owner: Address): Promise<bigint>;
  /** Part of the fee that is locked on top of it for the verifier, in basis points. */
  verifierBps(): Promise<number>;
  /** What the chain's clock says, in Unix milliseconds. */
  nowMs(): Promise<number>;
  headBlock(): Promise<number>;
  /** Events of the contract in blocks [from, to], in order. With a job id, only those of that job. */
  events(from: number, to: number, jobId?: JobId): Promise<CoreEvent[]>;
  blockHash(number: number): Promise<string | undefined>;
}

const UNREACHABLE_AFTER_MS = 10_000;
/** For any later question. ethers would wait five minutes for a node that has hung. */
const ANSWER_MS = 30_000;

/** Connects to a deployment and makes sure it is the one that was meant. Throws a `ChainError` otherwise. */
export async function openChain(options: ChainOptions): Promise<Chain> {
  const chainId = await askChainId(options);
  const network = Network.from(chainId);
  const request = new FetchRequest(options.endpoint);
  request.timeout = ANSWER_MS;
  const provider = new JsonRpcProvider(request, network, {
    staticNetwork: network,
    // Waiting to fill a batch costs 10 ms a call; our loops ask one thing at a time.
    batchMaxCount: 1,
    // ethers would repeat an answer for 250 ms: long enough to read a nonce or a credit from before our own transaction.
    cacheTimeout: -1,
    pollingInterval: 500,
  });
  try {
    await requireCode(provider, 'emethContractAddress', options.core);
    await requireCode(provider, 'tokenContractAddress', options.token);
  } catch (error) {
    provider.destroy();
    throw error;
  }
  return bind(provider, chainId, options);
}

function bind(provider: JsonRpcProvider, chainId: number, { core, token }: ChainOptions): Chain {
  const coreContract = new Contract(core, coreInterface, provider);
  const tokenContract = new Contract(token, emethTokenAbi, provider);
  const read = async (contract: Contract, method: string, ...args: unknown[]): Promise<unknown> =>
    contract.getFunction(method).staticCall(...args);
  return {
    chainId,
    core,
    token,
    provider,
    job: async (jobId) => parseJob((await read(coreContract, 'jobs', jobId)) as RawJob),
    credit: async (account) => (await read(coreContract, 'credit', account)) as bigint,
    tokenBalance: async (account) => (await read(tokenContract, 'balanceOf', account)) as bigint,
    allowance: async (owner) => (await read(tokenContract, 'allowance', owner, core)) as bigint,
    async verifierBps() {
      const current = await read(coreContract, 'currentTerms');
      return Number(((await read(coreContract, 'terms', current)) as { verifierBps: bigint }).verifierBps);
    },
    async nowMs() {
      return ((await provider.getBlock('latest'))?.timestamp ?? 0) * 1000;
    },
    headBlock: () => provider.getBlockNumber(),
    async events(from, to, jobId) {
      const topics: EventFilter['topics'] = jobId ? [null, jobId.padEnd(66, '0')] : [];
      const logs = await provider.getLogs({ address: core, fromBlock: from, toBlock: to, topics });
      return logs.sort(byPlace).flatMap((log) => decodeEvent(log) ?? []);
    },
    blockHash: async (number) => (await provider.getBlock(number))?.hash ?? undefined,
    async [Symbol.asyncDispose]() {
      provider.destroy();
    },
  };
}

interface RawJob {
  state: bigint;
  requester: string;
  node: string;
  fee: bigint;
  fuelLimit: bigint;
  deadline: bigint;
  payout: bigint;
}

function parseJob(raw: RawJob): ChainJob {
  const node = Address.parse(raw.node);
  return {
    state: chainStates[Number(raw.state)] ?? 'NONE',
    requester: Address.parse(raw.requester),
    node: /^0x0+$/.test(node) ? undefined : node,
    feeWei: raw.fee,
    fuelLimit: raw.fuelLimit,
    deadlineMs: Number(raw.deadline) * 1000,
    payoutWei: raw.payout,
  };
}

function byPlace(a: Log, b: Log): number {
  return a.blockNumber - b.blockNumber || a.index - b.index;
}

/** Asked without ethers, which would try for ever. */
export async function askChainId({
  endpoint,
  chainId: expected,
}: Pick<ChainOptions, 'endpoint' | 'chainId'>): Promise<number> {
  let chainId: number;
  try {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] }),
      signal: AbortSignal.timeout(UNREACHABLE_AFTER_MS),
    });
    chainId = Number(((await response.json()) as { result?: string }).result);
  } catch (cause) {
    throw unreachable(endpoint, cause);
  }
  if (!Number.isSafeInteger(chainId)) throw unreachable(endpoint);
  if (expected !== undefined && chainId !== expected) {
    throw new AppError<ChainError>(
      { code: 'chain/wrong-chain', endpoint: hideSecrets(endpoint), chainId, expected },
      `${hideSecrets(endpoint)} is chain ${chainId}, but chainId in the configuration is ${expected}; correct one of them.`,
    );
  }
  return chainId;
}

function unreachable(endpoint: string, cause?: unknown): AppError<ChainError> {
  const where = hideSecrets(endpoint);
  return new AppError(
    { code: 'chain/unreachable', endpoint: where },
    `No Ethereum node answers at ${where}; correct \`endpoint\`, or start the node.`,
    { cause },
  );
}

async function requireCode(provider: JsonRpcProvider, name: string, address: Address): Promise<void> {
  if ((await provider.getCode(address)) !== '0x') return;
  throw new AppError<ChainError>(
    { code: 'chain/no-code', name, address },
    `There is no contract at ${address} (${name}) on this chain; correct the address, or run \`emeth deploy\`.`,
  );
}

/** Endpoints often carry an API key in user name, path or query; messages and logs get the host only. */
export function hideSecrets(endpoint: string): string {
  try {
    const url = new URL(endpoint);
    return `${url.protocol}//${url.host}`;
  } catch {
    return endpoint;
  }
}
