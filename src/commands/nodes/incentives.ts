/** `emeth query-node-incentive`: what a node has earned, has at stake, and may still claim. */
import { openReader } from '../../app/account';
import { openRewards, type SlotReward } from '../../chain/acts/rewards';
import { jobsTakenBy } from '../../chain/reading/node-history';
import type { Chain } from '../../chain/rpc/client';
import { formatEmt } from '../../domain/emt';
import type { Address, JobId } from '../../domain/ids';
import type { ChainState } from '../../domain/job';
import { parseAddress } from '../../terminal/arguments';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

/** What a node has earned, has at stake in jobs, and may still claim. */
export interface Incentives {
  creditWei: bigint;
  lockedDepositsWei: bigint;
  /** Rewards of closed days that were not claimed yet. */
  unclaimedSlots: SlotReward[];
  unclaimedWei: bigint;
  /** How many jobs it took, by state. */
  jobs: Partial<Record<ChainState, number>>;
}

interface IncentiveOptions extends CommonOptions {
  nodeAddr: string;
}

export async function showIncentives(options: IncentiveOptions): Promise<void> {
  const node = parseAddress(options.nodeAddr);
  await using reader = await openReader(options);
  const incentives = await readIncentives(reader.chain, node, reader.config.fromBlock);
  if (options.json) return printJson({ node, ...incentives });
  printLines(`node       ${node}`, ...describeIncentives(incentives));
}

/** Reads all of it from the chain, from chain block `fromBlock` on. */
export async function readIncentives(chain: Chain, node: Address, fromBlock: number): Promise<Incentives> {
  const rewards = await openRewards(chain);
  const states = await statesOf(chain, await jobsTakenBy(chain, node, fromBlock));
  const unclaimedSlots = (await rewards?.unclaimed(node)) ?? [];
  return {
    creditWei: await chain.credit(node),
    lockedDepositsWei: (await rewards?.lockedDeposits(node, [...states.keys()])) ?? 0n,
    unclaimedSlots,
    unclaimedWei: unclaimedSlots.reduce((sum, { amountWei }) => sum + amountWei, 0n),
    jobs: count([...states.values()]),
  };
}

/** Returns incentives as lines for people. */
export function describeIncentives(incentives: Incentives): string[] {
  const { unclaimedSlots, jobs } = incentives;
  const counts = Object.entries(jobs).map(([state, number]) => `${number} ${state}`);
  return [
    `credit     ${formatEmt(incentives.creditWei)}   (move it with: emeth withdraw)`,
    `deposits   ${formatEmt(incentives.lockedDepositsWei)} in jobs that are running or awaiting a verdict`,
    `rewards    ${formatEmt(incentives.unclaimedWei)} unclaimed, of ${unclaimedSlots.length} days`,
    ...unclaimedSlots.map(({ slot, amountWei }) => `  ${dayOf(slot)}  ${formatEmt(amountWei)}`),
    `jobs       ${counts.length > 0 ? counts.join(', ') : 'none'}`,
  ];
}

function dayOf(slot: number): string {
  return new Date(slot * 86_400_000).toISOString().slice(0, 10);
}

async function statesOf(chain: Chain, jobIds: readonly JobId[]): Promise<Map<JobId, ChainState>> {
  const states = new Map<JobId, ChainState>();
  for (const jobId of jobIds) states.set(jobId, (await chain.job(jobId)).state);
  return states;
}

function count(states: readonly ChainState[]): Incentives['jobs'] {
  const counts: Incentives['jobs'] = {};
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}
