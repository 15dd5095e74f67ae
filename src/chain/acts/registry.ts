/** Reads of the node registry: nodes, organisations and their payout wallets. */
import { Contract, Interface, id } from 'ethers';
import { Address } from '../../domain/ids';
import { type NodeStatus, nodeStatuses } from '../../domain/node';
import { nodeRegistryAbi } from '../generated/node-registry';
import { type Chain, unlessZero } from '../rpc/client';

export const registryInterface = new Interface(nodeRegistryAbi);

/** A node's entry in the registry. */
export interface RegisteredNode {
  node: Address;
  status: NodeStatus;
  /** Owner of its organisation. */
  operator: Address;
  /** Name of the organisation. */
  organisation: string;
  payout: Address;
  /** A proposed payout wallet that waits for its date and its confirmation. */
  nextPayout?: { payout: Address; opensAtMs: number } | undefined;
  capabilityHash: string;
  capabilityUri: string;
  computeUnits: number;
  stakeWei: bigint;
  /** Unix time from which the stake of an unbonding node may be withdrawn, in milliseconds. */
  unbondsAtMs?: number | undefined;
}

/** Reads of the registry that the escrow of this chain uses. */
export interface Registry {
  readonly address: Address;
  minStakeWei(): Promise<bigint>;
  /** Returns the node; undefined if it is not registered now. */
  find(node: Address): Promise<RegisteredNode | undefined>;
  /** Returns the registered nodes among the `size` entries from `from` on, and the number of all entries. */
  list(from: number, size: number): Promise<{ nodes: RegisteredNode[]; total: number }>;
  ownerOf(organisation: string): Promise<Address | undefined>;
  /** Returns the node's payout wallet. A node that has left keeps it, and can only return with it. */
  payoutOf(node: Address): Promise<Address | undefined>;
  /** Returns the nonce that the node signs for its next enrolment. */
  nonceOf(node: Address): Promise<bigint>;
}

/** Opens the registry of the escrow; undefined if any account may take jobs. */
export async function openRegistry(chain: Chain): Promise<Registry | undefined> {
  const address = await chain.registry();
  if (address === undefined) return undefined;
  const contract = new Contract(address, registryInterface, chain.provider);
  const read = async <T>(method: string, ...args: unknown[]): Promise<T> =>
    (await contract.getFunction(method).staticCall(...args)) as T;
  const organisation = (key: string) => read<RawOrganisation>('organisationOf', key);
  const parse = async (raw: RawNode) => parseNode(raw, (await organisation(raw.organisation)).name);
  return {
    address,
    minStakeWei: () => read('minStake'),
    async find(node) {
      const raw = await read<RawNode>('nodeOf', node);
      return raw.status === 0n ? undefined : parse(raw);
    },
    async list(from, size) {
      const [raw, total] = await Promise.all([read<RawNode[]>('nodesFrom', from, size), read<bigint>('nodeCount')]);
      const registered = raw.filter(({ status }) => status !== 0n);
      return { nodes: await Promise.all(registered.map(parse)), total: Number(total) };
    },
    ownerOf: async (name) => unlessZero((await organisation(organisationId(name))).owner),
    payoutOf: async (node) => unlessZero(await read('payoutOf', node)),
    nonceOf: (node) => read('nonces', node),
  };
}

/** Returns the registry's key of an organisation. */
export function organisationId(name: string): string {
  return id(name);
}

interface RawOrganisation {
  owner: string;
  name: string;
}

interface RawNode {
  node: string;
  status: bigint;
  operator: string;
  organisation: string;
  payout: string;
  nextPayout: string;
  payoutOpensAt: bigint;
  capabilityHash: string;
  capabilityUri: string;
  computeUnits: bigint;
  stake: bigint;
  unbondsAt: bigint;
}

function parseNode(raw: RawNode, organisation: string): RegisteredNode {
  const nextPayout = unlessZero(raw.nextPayout);
  return {
    node: Address.parse(raw.node),
    status: nodeStatuses[Number(raw.status)] ?? 'NONE',
    operator: Address.parse(raw.operator),
    organisation,
    payout: Address.parse(raw.payout),
    nextPayout: nextPayout && { payout: nextPayout, opensAtMs: Number(raw.payoutOpensAt) * 1000 },
    capabilityHash: raw.capabilityHash,
    capabilityUri: raw.capabilityUri,
    computeUnits: Number(raw.computeUnits),
    stakeWei: raw.stake,
    unbondsAtMs: raw.unbondsAt > 0n ? Number(raw.unbondsAt) * 1000 : undefined,
  };
}
