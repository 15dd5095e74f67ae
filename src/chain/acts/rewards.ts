/** The reward pool: what a node has earned per day, and how it takes that out. */
import { Contract, Interface } from 'ethers';
import type { Address, JobId } from '../../domain/ids';
import { rewardPoolAbi } from '../generated/reward-pool';
import type { Chain } from '../rpc/client';
import type { Sender } from '../sending/sender';

const poolInterface = new Interface(rewardPoolAbi);
const DAY_S = 86_400;
/** Days per call: nodes limit how much they compute in one. */
const SPAN = 365;

export interface SlotReward {
  /** Day of settlement, in days of Unix time. */
  slot: number;
  amountWei: bigint;
}

/** Rewards that a node has not taken yet. */
export interface Rewards {
  readonly address: Address;
  /** Returns closed slots with something to claim, oldest first. */
  unclaimed(node: Address): Promise<SlotReward[]>;
  /** Returns the node's part of these jobs' deposits, in wei. */
  lockedDeposits(node: Address, jobIds: readonly JobId[]): Promise<bigint>;
  /** Mints the sender's rewards of these slots to its payout wallet. */
  claim(sender: Sender, slots: readonly number[]): Promise<{ hash: string }>;
  estimateClaimWei(sender: Sender, slots: readonly number[]): Promise<bigint>;
}

/** Opens the reward pool of the chain's token; undefined if there is none. */
export async function openRewards(chain: Chain): Promise<Rewards | undefined> {
  const address = await chain.rewardPool();
  if (address === undefined) return undefined;
  const contract = new Contract(address, poolInterface, chain.provider);
  const incentives = async (node: Address, jobIds: readonly JobId[], from: number, to: number) =>
    (await contract.getFunction('incentives').staticCall(node, jobIds, from, to)) as RawIncentives;
  const claimData = (slots: readonly number[]) => poolInterface.encodeFunctionData('claimSlots', [slots]);
  return {
    address,
    async unclaimed(node) {
      const first = Number(await contract.getFunction('firstSlot').staticCall());
      const end = Math.floor((await chain.nowMs()) / 1000 / DAY_S);
      const found: SlotReward[] = [];
      for (let from = first; from < end; from += SPAN) {
        const { slots, rewards } = await incentives(node, [], from, Math.min(end, from + SPAN));
        found.push(...slots.map((slot, i) => ({ slot: Number(slot), amountWei: rewards[i] ?? 0n })));
      }
      return found;
    },
    lockedDeposits: async (node, jobIds) => (await incentives(node, jobIds, 0, 0)).lockedDeposits,
    claim: (sender, slots) => sender.send({ key: 'claimSlots', to: address, data: claimData(slots), repeatable: true }),
    estimateClaimWei: (sender, slots) => sender.estimateWei({ to: address, data: claimData(slots) }),
  };
}

interface RawIncentives {
  lockedDeposits: bigint;
  slots: bigint[];
  rewards: bigint[];
}
