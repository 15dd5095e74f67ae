/** The contracts deployed on anvil with ten funded accounts, for the tests that call them with ethers. */
import {
  Interface,
  id,
  type JsonRpcPayload,
  JsonRpcProvider,
  type JsonRpcResult,
  type LogDescription,
  parseEther,
  solidityPackedKeccak256,
  zeroPadBytes,
} from 'ethers';
import { Pool } from 'undici';
import { buildPayouts } from '../../src/chain/acts/payouts';
import { defaultTerms, deployContracts } from '../../src/chain/deploy/deploy';
import { emethCoreAbi } from '../../src/chain/generated/emeth-core';
import { emethTokenAbi } from '../../src/chain/generated/emeth-token';
import { nodeRegistryAbi } from '../../src/chain/generated/node-registry';
import { rewardPoolAbi } from '../../src/chain/generated/reward-pool';
import { Address } from '../../src/domain/ids';
import { type ChainState, chainStates } from '../../src/domain/job';
import { startAnvil } from '../../src/runner/anvil';

export const coreInterface = new Interface(emethCoreAbi);
export const tokenInterface = new Interface(emethTokenAbi);
const interfaces = {
  core: coreInterface,
  token: tokenInterface,
  registry: new Interface(nodeRegistryAbi),
  pool: new Interface(rewardPoolAbi),
};
export type ContractName = keyof typeof interfaces;

/** The roles of the tests; anvil has an account and a key for each. */
export const roles = [
  'admin',
  'requester',
  'node',
  'verifier',
  'verifier2',
  'challenger',
  'stranger',
  'worker',
  'other',
  'pauser',
] as const;
export type Role = (typeof roles)[number];

export const FEE = parseEther('1000');
export const FUEL = 1_000_000n;
/** The fuel that results use here: 60 % of `FUEL`. */
export const USED = 600_000n;
export const resultHash = `0x${'ab'.repeat(32)}`;
export const reasonHash = `0x${'cd'.repeat(16)}`;

export interface Sent {
  gasUsed: bigint;
  events: LogDescription[];
  logs: { data: string; topics: string[] }[];
}

export interface ContractCalls {
  /** Throws the contract's error by name. */
  send(role: Role, method: string, ...args: unknown[]): Promise<Sent>;
  /** Returns the error that a call would end with; undefined if it would succeed. */
  refusal(role: Role, method: string, ...args: unknown[]): Promise<string | undefined>;
  read<T>(method: string, ...args: unknown[]): Promise<T>;
}

/**
 * The contracts on a fresh chain, with ten accounts that have tokens and have approved the escrow; `node` is
 * registered.
 */
export interface Escrow extends AsyncDisposable {
  provider: JsonRpcProvider;
  core: Address;
  token: Address;
  address: Record<Role, Address>;
  /** Each contract's address, and calls to it. */
  on: Record<ContractName, ContractCalls & { address: Address }>;
  /** Calls the escrow from an account; throws the contract's error by name, e.g. `EmethCore_WrongState`. */
  send(role: Role, method: string, ...args: unknown[]): Promise<Sent>;
  sendToken(role: Role, method: string, ...args: unknown[]): Promise<Sent>;
  /** Returns the error that a call would end with; undefined if it would succeed. */
  refusal(role: Role, method: string, ...args: unknown[]): Promise<string | undefined>;
  refusalOfToken(role: Role, method: string, ...args: unknown[]): Promise<string | undefined>;
  read<T>(method: string, ...args: unknown[]): Promise<T>;
  readToken<T>(method: string, ...args: unknown[]): Promise<T>;
  state(jobId: string): Promise<ChainState>;
  /** Makes a job and brings it to a state, by the shortest way. */
  jobIn(state: ChainState): Promise<string>;
  request(changes?: { fee?: bigint; deadline?: bigint }): Promise<string>;
  /** The payout list of results made here, and its root. */
  payees: { worker: Address; amount: bigint }[];
  payoutRoot: string;
  proofOf(index: number): string[];
  now(): Promise<bigint>;
  /** Lets seconds pass. */
  warp(seconds: number): Promise<void>;
  /** Credits of all roles, and the sum of all penalties not yet burnt. */
  credits(): Promise<Record<Role | 'penalties', bigint>>;
  /** Registers a role as a node of its own organisation, with the least stake. */
  registerNode(role: Role): Promise<void>;
  /** Every event a contract ever emitted, in order. */
  history(contract: ContractName): Promise<LogDescription[]>;
  /** Takes the chain back to its state after opening. */
  reset(): Promise<void>;
}

export const dataset = 'https://datasets.example.org/moby-dick-v1.txt.gz'.slice(0, 46);
export const params = '{"model":"gpt","layers":4,"width":128,"context":128,"lr":1e-3}'.slice(0, 60);
export const result = 'https://results.example.org/0123456789abcdef.json'.slice(0, 46);

/** Talks to anvil without ethers' retries and body copies, which a local server does not need. */
class LocalProvider extends JsonRpcProvider {
  private readonly pool: Pool;

  constructor(url: string) {
    super(url, 31337, { staticNetwork: true, batchMaxCount: 100, batchStallTime: 0, cacheTimeout: -1 });
    this.pool = new Pool(url);
  }

  override async _send(payload: JsonRpcPayload | JsonRpcPayload[]): Promise<JsonRpcResult[]> {
    const headers = { 'content-type': 'application/json' };
    const { body } = await this.pool.request({ method: 'POST', path: '/', headers, body: JSON.stringify(payload) });
    return [(await body.json()) as JsonRpcResult | JsonRpcResult[]].flat();
  }

  override destroy(): void {
    super.destroy();
    void this.pool.destroy();
  }
}

export async function openEscrow(): Promise<Escrow> {
  const anvil = await startAnvil();
  const provider = new LocalProvider(anvil.url);
  provider.pollingInterval = 20;
  const accounts = ((await provider.send('eth_accounts', [])) as string[]).map((account) => Address.parse(account));
  const address = Object.fromEntries(roles.map((role, i) => [role, accounts[i]])) as Record<Role, Address>;
  const deployment = await deployContracts(await provider.getSigner(address.admin), {
    holder: address.admin,
    admin: address.admin,
    verifiers: [address.verifier],
  });
  const { emethContractAddress: core, tokenContractAddress: token } = deployment;
  const raw = openRaw(provider, address);
  const on = {
    core: bindCalls(raw, 'core', core),
    token: bindCalls(raw, 'token', token),
    registry: bindCalls(raw, 'registry', deployment.registryContractAddress),
    pool: bindCalls(raw, 'pool', deployment.rewardPoolContractAddress),
  };
  const { send, read } = on.core;
  const { send: sendToken, read: readToken } = on.token;
  const pauserRole = await read<string>('PAUSER_ROLE');
  await send('admin', 'grantRole', pauserRole, address.pauser);
  for (const role of roles) {
    await sendToken('admin', 'transfer', address[role], parseEther('100000'));
    await sendToken(role, 'approve', core, 2n ** 256n - 1n);
    await sendToken(role, 'approve', on.registry.address, 2n ** 256n - 1n);
  }
  const registerNode: Escrow['registerNode'] = async (role) => {
    await on.registry.send(role, 'createOrganisation', role);
    const enrolment = enrolmentOf(address[role], { organisation: id(role) });
    await on.registry.send(role, 'register', enrolment, await on.registry.read('minStake'), '0x');
  };
  await registerNode('node');

  const payees = [
    { worker: address.node, amount: parseEther('60') },
    { worker: address.worker, amount: parseEther('340') },
    { worker: address.other, amount: parseEther('200') },
  ];
  const tree = buildPayouts(payees.map(({ worker, amount }, index) => ({ index, worker, amountWei: amount })));

  let salt = 0;
  const now = async () => BigInt(((await provider.send('eth_getBlockByNumber', ['latest', false])) as Block).timestamp);
  const warp = async (seconds: number) => {
    await provider.send('evm_increaseTime', [seconds]);
    await provider.send('evm_mine', []);
  };
  const request: Escrow['request'] = async (changes = {}) => {
    const deadline = changes.deadline ?? (await now()) + 3600n;
    salt += 1;
    const args = [dataset, params, changes.fee ?? FEE, FUEL, deadline, `0x${salt.toString(16).padStart(64, '0')}`];
    return (await send('requester', 'request', ...args)).events[0]!.args['jobId'] as string;
  };
  const jobIn = (state: ChainState) => bringTo(state, { send, warp, request, payoutRoot: tree.root });

  let snapshot = await provider.send('evm_snapshot', []);
  return {
    provider,
    core,
    token,
    address,
    on,
    send,
    sendToken,
    refusal: on.core.refusal,
    refusalOfToken: on.token.refusal,
    read,
    readToken,
    state: async (jobId) => chainStates[Number((await read<{ state: bigint }>('jobs', jobId)).state)] ?? 'NONE',
    jobIn,
    request,
    payees,
    payoutRoot: tree.root,
    proofOf: (index) => tree.proofOf(index),
    now,
    warp,
    async credits() {
      const amounts = await Promise.all(roles.map((role) => read<bigint>('credit', address[role])));
      const credits = Object.fromEntries(roles.map((role, i) => [role, amounts[i]])) as Record<Role, bigint>;
      const forfeits = await Promise.all(roles.map((role) => read<bigint>('forfeited', address[role])));
      return { ...credits, penalties: forfeits.reduce((sum, amount) => sum + amount) };
    },
    registerNode,
    async history(contract) {
      const filter = { address: on[contract].address, fromBlock: '0x0', toBlock: 'latest' };
      const logs = (await provider.send('eth_getLogs', [filter])) as { data: string; topics: string[] }[];
      return logs.flatMap((log) => interfaces[contract].parseLog(log) ?? []);
    },
    async reset() {
      await provider.send('evm_revert', [snapshot]);
      snapshot = await provider.send('evm_snapshot', []);
    },
    async [Symbol.asyncDispose]() {
      provider.destroy();
      await anvil[Symbol.asyncDispose]();
    },
  };
}

/** Returns an enrolment in the organisation "node", with `changes`. */
export function enrolmentOf(node: Address, changes: object = {}) {
  return {
    node,
    organisation: id('node'),
    payout: node,
    capabilityHash: id('capability'),
    capabilityUri: 'https://node.example.org/capability.json',
    computeUnits: 1,
    deadline: 2n ** 40n,
    ...changes,
  };
}

/** Returns the differences that are not zero. */
export function changes<K extends string>(
  before: Record<K, bigint>,
  after: Record<K, bigint>,
): Partial<Record<K, bigint>> {
  const difference: Partial<Record<K, bigint>> = {};
  for (const key of Object.keys(before) as K[]) {
    const change = (after[key] as bigint) - (before[key] as bigint);
    if (change !== 0n) difference[key] = change;
  }
  return difference;
}

/** Seconds after which the windows of the default terms are over. */
export const afterWork = 3601;
export const afterVerdict = defaultTerms.verdictWindow + 1;
export const afterClaims = defaultTerms.claimWindow + 1;

/** Returns the commitment by which a verdict names a result. */
export function commitmentOf(payoutRoot: string, hash = resultHash): string {
  return solidityPackedKeccak256(['bytes32', 'bytes32'], [hash, payoutRoot]).slice(0, 42);
}

type Steps = Pick<Escrow, 'send' | 'warp' | 'request' | 'payoutRoot'>;

async function bringTo(state: ChainState, steps: Steps): Promise<string> {
  const { send, warp, request, payoutRoot } = steps;
  const further = async (from: ChainState, role: Role, method: string, ...args: unknown[]) => {
    const jobId = await bringTo(from, steps);
    await send(role, method, jobId, ...args);
    return jobId;
  };
  const later = async (from: ChainState, seconds: number, method: string) => {
    const jobId = await bringTo(from, steps);
    await warp(seconds);
    await send('stranger', method, jobId);
    return jobId;
  };
  switch (state) {
    case 'NONE':
      return zeroPadBytes('0x99', 16);
    case 'REQUESTED':
      return request();
    case 'PROCESSING':
      return further('REQUESTED', 'node', 'process');
    case 'SUBMITTED':
      return further('PROCESSING', 'node', 'submit', resultHash, USED, payoutRoot, result);
    case 'VERIFIED':
      return further('SUBMITTED', 'verifier', 'verify', commitmentOf(payoutRoot), '0x');
    case 'CANCELED':
      return further('REQUESTED', 'requester', 'cancel');
    case 'TIMEOUT':
      return later('PROCESSING', afterWork, 'timeout');
    case 'FAILED':
      return further('SUBMITTED', 'verifier', 'rejectResult', commitmentOf(payoutRoot), reasonHash, '0x');
    case 'DECLINED': {
      const jobId = await bringTo('PROCESSING', steps);
      await warp(afterWork - 30);
      await send('node', 'decline', jobId);
      return jobId;
    }
    case 'DISPUTED':
      return further('SUBMITTED', 'challenger', 'challenge');
    case 'UNVERIFIED':
      return later('DISPUTED', afterVerdict, 'unwind');
  }
}

interface Block {
  timestamp: string;
}

/** Opens calls without signing, nonces or polling: anvil signs for its own accounts and mines at once. */
function openRaw(provider: JsonRpcProvider, address: Record<Role, Address>) {
  const transaction = (abi: Interface, to: Address, role: Role, method: string, args: unknown[]) => ({
    from: address[role],
    to,
    data: abi.encodeFunctionData(method, args),
  });
  async function refusal(abi: Interface, to: Address, role: Role, method: string, args: unknown[]) {
    try {
      await provider.send('eth_call', [transaction(abi, to, role, method, args), 'pending']);
      return undefined;
    } catch (error) {
      return reasonOf(error);
    }
  }
  return {
    refusal,
    async send(abi: Interface, to: Address, role: Role, method: string, args: unknown[]): Promise<Sent> {
      const sent = transaction(abi, to, role, method, args);
      const receipt = (await provider.send('eth_sendTransactionSync', [sent])) as Receipt;
      if (receipt.status !== '0x1') throw new Error((await refusal(abi, to, role, method, args)) ?? `${method} failed`);
      const logs = receipt.logs.filter((log) => log.address === to);
      return { gasUsed: BigInt(receipt.gasUsed), events: logs.map((log) => abi.parseLog(log)!), logs };
    },
    async read<T>(abi: Interface, to: Address, method: string, args: unknown[]): Promise<T> {
      const data = await provider.send('eth_call', [transaction(abi, to, 'stranger', method, args), 'latest']);
      return abi.decodeFunctionResult(method, data)[0] as T;
    },
  };
}

function bindCalls(raw: ReturnType<typeof openRaw>, name: ContractName, at: Address) {
  const abi = interfaces[name];
  const calls: ContractCalls = {
    send: (role, method, ...args) => raw.send(abi, at, role, method, args),
    refusal: (role, method, ...args) => raw.refusal(abi, at, role, method, args),
    read: (method, ...args) => raw.read(abi, at, method, args),
  };
  return { address: at, ...calls };
}

interface Receipt {
  status: string;
  gasUsed: string;
  logs: { address: string; data: string; topics: string[] }[];
}

/** Returns the name of the Solidity error in the data that anvil sends along. */
function reasonOf(error: unknown): string {
  const match = /"?data"?:\s*"(0x[0-9a-f]{8,})"/.exec(JSON.stringify(error)) ?? undefined;
  const known =
    match?.[1] &&
    Object.values(interfaces)
      .map((abi) => abi.parseError(match[1] ?? ''))
      .find((found) => found !== null);
  return known ? known.name : (error as Error).message;
}
