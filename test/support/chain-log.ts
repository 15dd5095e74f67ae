import { Interface, type LogDescription, toQuantity } from 'ethers';
import { nodeRegistryAbi } from '../../src/chain/generated/node-registry';
import { rewardPoolAbi } from '../../src/chain/generated/reward-pool';
import { coreInterface, type Escrow } from './escrow';

/** What a log says, and when: no event carries the time of its own block. */
export interface TimedEvent {
  contract: 'core' | 'registry' | 'pool';
  event: LogDescription;
  /** Unix seconds of its block. */
  at: bigint;
  block: number;
}

interface RawLog {
  address: string;
  data: string;
  topics: string[];
  blockNumber: string;
  blockTimestamp: string;
}

const interfaces = {
  core: coreInterface,
  registry: new Interface(nodeRegistryAbi),
  pool: new Interface(rewardPoolAbi),
};
const contracts = Object.keys(interfaces) as TimedEvent['contract'][];

/** The names of all events that a contract knows. */
export function eventNames(contract: TimedEvent['contract']): string[] {
  const names: string[] = [];
  interfaces[contract].forEachEvent(({ name }) => names.push(name));
  return names;
}

/**
 * Every event that escrow, registry and pool emitted from a block on, in the order of the chain. Throws for one their ABIs do not
 * know.
 */
export async function readEvents(escrow: Escrow, fromBlock: number): Promise<TimedEvent[]> {
  const byAddress = new Map(contracts.map((contract) => [escrow.on[contract].address as string, contract]));
  const filter = { address: [...byAddress.keys()], fromBlock: toQuantity(fromBlock), toBlock: 'latest' };
  const logs = (await escrow.provider.send('eth_getLogs', [filter])) as RawLog[];
  return logs.map((log) => {
    const contract = byAddress.get(log.address.toLowerCase()) as TimedEvent['contract'];
    const event = interfaces[contract].parseLog(log);
    if (!event) throw new Error(`The ABI of ${contract} has no event ${log.topics[0]}`);
    return { contract, event, at: BigInt(log.blockTimestamp), block: Number(log.blockNumber) };
  });
}
