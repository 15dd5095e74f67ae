/** The node registry and the reward pool as their events alone describe them. */
import { ZeroAddress, ZeroHash } from 'ethers';
import type { NodeRegistryEvents } from '../../src/chain/generated/node-registry';
import type { RewardPoolEvents } from '../../src/chain/generated/reward-pool';
import type { NodeStatus } from '../../src/domain/node';
import type { TimedEvent } from './chain-log';

/** A node as `nodeOf` shows it, without its operator, which is the owner of its organisation. */
export interface ModelNode {
  node: string;
  status: NodeStatus;
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

export interface ModelOrganisation {
  owner: string;
  nextOwner: string;
  name: string;
}

const NOT_YET = { stake: 0n, capabilityHash: ZeroHash, capabilityUri: '', computeUnits: 0n };
const NO_CHANGE = { nextPayout: ZeroAddress, payoutOpensAt: 0n };

/**
 * Node registry and reward pool, rebuilt from their events. An unknown event, or one that contradicts others,
 * throws.
 */
export class RegistryModel {
  /** In the order of their first registration. */
  readonly nodes = new Map<string, ModelNode>();
  readonly organisations = new Map<string, ModelOrganisation>();
  /** Enrolments by signature, by node. */
  readonly nonces = new Map<string, bigint>();
  /** Amounts claimed, by `node:slot`. */
  readonly claimed = new Map<string, bigint>();

  apply({ event }: TimedEvent): void {
    const effect = effects[event.name as EventName] as Effect<unknown> | undefined;
    if (!effect) throw new Error(`The model knows no ${event.name}`);
    effect(this, event.args);
  }

  stakesWei(): bigint {
    return [...this.nodes.values()].reduce((sum, { stake }) => sum + stake, 0n);
  }

  mintedWei(): bigint {
    return [...this.claimed.values()].reduce((sum, amount) => sum + amount, 0n);
  }

  change(node: string, changes: Partial<ModelNode>): void {
    const known = this.nodes.get(node);
    if (!known) throw new Error(`An event is about ${node}, which was never registered`);
    Object.assign(known, changes);
  }

  organisation(organisation: string): ModelOrganisation {
    return this.organisations.get(organisation) ?? { owner: ZeroAddress, nextOwner: ZeroAddress, name: '' };
  }

  operatorOf(node: string): string {
    return this.organisation(this.nodes.get(node)?.organisation ?? ZeroHash).owner;
  }

  /** Returns a node as the view shows it, even one that never registered. */
  node(node: string): ModelNode {
    const nothing = { node, organisation: ZeroHash, payout: ZeroAddress, unbondsAt: 0n };
    return this.nodes.get(node) ?? { ...nothing, ...NOT_YET, ...NO_CHANGE, status: 'NONE' };
  }
}

type Events = NodeRegistryEvents & RewardPoolEvents;
type EventName = Exclude<keyof Events, 'EIP712DomainChanged'>;
type Effect<Args> = (model: RegistryModel, args: Args) => void;

const effects: { [Name in EventName]: Effect<Events[Name]> } = {
  OrganisationCreated(model, { organisation, owner, name }) {
    if (model.organisations.has(organisation)) throw new Error(`Organisation ${name} was created twice`);
    model.organisations.set(organisation, { owner, nextOwner: ZeroAddress, name });
  },
  OrganisationOffered(model, { organisation, nextOwner }) {
    Object.assign(model.organisation(organisation), { nextOwner });
  },
  OrganisationTaken(model, { organisation, owner }) {
    const taken = model.organisation(organisation);
    if (taken.nextOwner !== owner) throw new Error(`${owner} took what it was not offered`);
    Object.assign(taken, { owner, nextOwner: ZeroAddress });
  },
  NodeRegistered(model, { node, organisation, operator, payout }) {
    const now = { organisation, payout, status: 'ACTIVE' as const, stake: 0n, unbondsAt: 0n };
    model.nodes.set(node, { ...model.node(node), ...now, ...NO_CHANGE });
    if (model.operatorOf(node) !== operator) throw new Error(`${operator} does not own the organisation of ${node}`);
    // A node that is registered by another account has signed.
    if (operator !== node) model.nonces.set(node, (model.nonces.get(node) ?? 0n) + 1n);
  },
  CapabilityChanged(model, { node, capabilityHash, capabilityUri, computeUnits }) {
    model.change(node, { capabilityHash, capabilityUri, computeUnits });
  },
  StakeAdded: (model, { node, amount }) => model.change(node, { stake: model.node(node).stake + amount }),
  StakeWithdrawn(model, { node, to, amount }) {
    const { stake } = model.node(node);
    if (amount !== stake || to !== model.operatorOf(node))
      throw new Error(`The stake of ${node} went to another account or in part`);
    model.change(node, { status: 'NONE', stake: 0n, unbondsAt: 0n });
  },
  NodeDeactivated: (model, { node, unbondsAt }) => model.change(node, { status: 'UNBONDING', unbondsAt }),
  NodeReactivated: (model, { node }) => model.change(node, { status: 'ACTIVE', unbondsAt: 0n }),
  PayoutProposed(model, { node, payout, opensAt }) {
    model.change(node, { nextPayout: payout, payoutOpensAt: opensAt });
  },
  PayoutChanged: (model, { node, payout }) => model.change(node, { payout, ...NO_CHANGE }),
  PayoutChangeCanceled: (model, { node }) => model.change(node, NO_CHANGE),
  SlotClaimed(model, { node, slot, to, amount }) {
    const { payout } = model.node(node);
    if (to !== (payout === ZeroAddress ? node : payout)) throw new Error(`${node} was rewarded at ${to}`);
    if (model.claimed.has(`${node}:${slot}`)) throw new Error(`${node} claimed slot ${slot} twice`);
    model.claimed.set(`${node}:${slot}`, amount);
  },
};
