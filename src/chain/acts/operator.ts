/** The calls of the node registry that an organisation's owner makes, and the consent of the node. */
import { verifyTypedData } from 'ethers';
import { Address } from '../../domain/ids';
import type { Chain } from '../rpc/client';
import type { Sender } from '../sending/sender';
import type { Wallet } from '../sending/wallet';
import { approve } from './emeth';
import { organisationId, type Registry, registryInterface } from './registry';

/** The entry with which a node is registered. */
export interface Enrolment {
  node: Address;
  /** Name of the organisation. */
  organisation: string;
  payout: Address;
  /** sha256 of the document at `capabilityUri`, `0x` and 64 hex digits; zeros for none. */
  capabilityHash: string;
  capabilityUri: string;
  computeUnits: number;
  /** Unix time until which the signature is valid, in seconds. */
  deadline: number;
}

/** Upper bounds that the registry sets for an enrolment. */
export const enrolmentLimits = { nameBytes: 64, uriBytes: 256, computeUnits: 2 ** 32 - 1 };

const NAME = 'NodeRegistry';
const types = {
  Enrolment: [
    { name: 'node', type: 'address' },
    { name: 'operator', type: 'address' },
    { name: 'organisation', type: 'bytes32' },
    { name: 'payout', type: 'address' },
    { name: 'capabilityHash', type: 'bytes32' },
    { name: 'capabilityUri', type: 'string' },
    { name: 'computeUnits', type: 'uint32' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
  ],
};

/** Signs a node's consent to be enrolled by this operator, and by no other. */
export async function signEnrolment(
  wallet: Wallet,
  registry: Registry,
  enrolment: Enrolment,
  operator: Address,
): Promise<string> {
  const nonce = await registry.nonceOf(wallet.address);
  const contract = { name: NAME, address: registry.address };
  return wallet.signFor(contract, types, { ...encoded(enrolment), operator, nonce });
}

/** True when the registry would accept the signature as the node's own. Its deadline is not checked. */
export async function isSignedByNode(
  chain: Pick<Chain, 'chainId'>,
  registry: Registry,
  enrolment: Enrolment,
  operator: Address,
  signature: string,
): Promise<boolean> {
  const nonce = await registry.nonceOf(enrolment.node);
  const domain = { name: NAME, version: '1', chainId: chain.chainId, verifyingContract: registry.address };
  try {
    const signer = verifyTypedData(domain, types, { ...encoded(enrolment), operator, nonce }, signature);
    return Address.parse(signer) === enrolment.node;
  } catch {
    // Some byte strings are no signature at all.
    return false;
  }
}

/** Acts of an organisation's owner in the registry. Repeating one that is pending sends nothing. */
export interface Operator {
  readonly address: Address;
  createOrganisation(name: string): Promise<{ hash: string }>;
  /** `signature` is the node's (`signEnrolment`); none if the operator is the node. */
  register(enrolment: Enrolment, stakeWei: bigint, signature?: string): Promise<{ hash: string }>;
  addStake(node: Address, amountWei: bigint): Promise<{ hash: string }>;
  deactivate(node: Address): Promise<{ hash: string }>;
  reactivate(node: Address): Promise<{ hash: string }>;
  withdrawStake(node: Address): Promise<{ hash: string }>;
  proposePayout(node: Address, payout: Address): Promise<{ hash: string }>;
  /** Called by the proposed wallet. */
  confirmPayout(node: Address): Promise<{ hash: string }>;
  cancelPayoutChange(node: Address): Promise<{ hash: string }>;
}

export function openOperator(chain: Chain, registry: Registry, sender: Sender): Operator {
  const act = (method: string, args: readonly unknown[], undo?: string) =>
    sender.send({
      key: method,
      to: registry.address,
      data: registryInterface.encodeFunctionData(method, args),
      repeatable: true,
      undo,
    });
  const leave = (node: Address) => `emeth unregister-node --node-addr ${node}`;
  return {
    address: sender.address,
    createOrganisation: (name) => act('createOrganisation', [name]),
    async register(enrolment, stakeWei, signature = '0x') {
      await approve(chain, sender, registry.address, stakeWei);
      return act('register', [encoded(enrolment), stakeWei, signature], leave(enrolment.node));
    },
    async addStake(node, amountWei) {
      await approve(chain, sender, registry.address, amountWei);
      return act('addStake', [node, amountWei], leave(node));
    },
    deactivate: (node) => act('deactivate', [node], `${leave(node)} --undo`),
    reactivate: (node) => act('reactivate', [node], leave(node)),
    withdrawStake: (node) => act('withdrawStake', [node]),
    proposePayout: (node, payout) => act('proposePayout', [node, payout], `emeth payout --node-addr ${node} --cancel`),
    confirmPayout: (node) => act('confirmPayout', [node]),
    cancelPayoutChange: (node) => act('cancelPayoutChange', [node]),
  };
}

function encoded(enrolment: Enrolment): object {
  return { ...enrolment, organisation: organisationId(enrolment.organisation) };
}
