import type { LogDescription } from 'ethers';
import type { NodeRegistryEvents } from '../../src/chain/generated/node-registry';
import type { RewardPoolEvents } from '../../src/chain/generated/reward-pool';

interface ModelNode {
  status: 'NONE' | 'ACTIVE' | 'UNBONDING';
  organisation: string;
  payout: string;
  nextPayout: string;
  stakeWei: bigint;
  computeUnits: bigint;
}

const NOBODY = `0x${'0'.repeat(40)}`;

/** Node registry and reward pool rebuilt from nothing but their events. */
export class RegistryModel {
  readonly nodes = new Map<string, ModelNode>();
  readonly owners = new Map<string, string>();
  /** What each node claimed, by `node:slot`. */
  readonly claimed = new Map<string, bigint>();

  apply(event: LogDescription): void {
    const effect = effects[event.name as EventName] as Effect<unknown> | undefined;
    effect?.(this, event.args);
  }

  stakesWei(): bigint {
    return [...this.nodes.values()].reduce((sum, { stakeWei }) => sum + stakeWei, 0n);
  }

  change(node: string, changes: Partial<ModelNode>): void {
    Object.assign(this.nodes.get(node) as ModelNode, changes);
  }
}

type Events = NodeRegistryEvents & RewardPoolEvents;
type EventName = keyof Events;
type Effect<Args> = (model: RegistryModel, args: Args) => void;

const effects: { [Name in EventName]?: Effect<Events[Name]> } = {
  OrganisationCreated: (model, { organisation, owner }) => void model.owners.set(organisation, owner),
  OrganisationTaken: (model, { organisation, owner }) => void model.owners.set(organisation, owner),
  NodeRegistered(model, { node, organisation, payout }) {
    const fresh = { nextPayout: NOBODY, stakeWei: 0n, computeUnits: 0n };
    model.nodes.set(node, { status: 'ACTIVE', organisation, payout, ...fresh });
  },
  CapabilityChanged: (model, { node, computeUnits }) => model.change(node, { computeUnits }),
  StakeAdded(model, { node, amount }) {
    model.change(node, { stakeWei: (model.nodes.get(node)?.stakeWei ?? 0n) + amount });
  },
  StakeWithdrawn: (model, { node }) => model.change(node, { status: 'NONE', stakeWei: 0n }),
  NodeDeactivated: (model, { node }) => model.change(node, { status: 'UNBONDING' }),
  NodeReactivated: (model, { node }) => model.change(node, { status: 'ACTIVE' }),
  PayoutProposed: (model, { node, payout }) => model.change(node, { nextPayout: payout }),
  PayoutChanged: (model, { node, payout }) => model.change(node, { payout, nextPayout: NOBODY }),
  PayoutChangeCanceled: (model, { node }) => model.change(node, { nextPayout: NOBODY }),
  SlotClaimed: (model, { node, slot, amount }) => void model.claimed.set(`${node}:${slot}`, amount),
};
