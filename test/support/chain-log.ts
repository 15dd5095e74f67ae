/** Events of escrow, registry and pool in chain order, for models that rebuild state from the logs alone. */
import { Interface, type LogDescription, toQuantity } from 'ethers';
import { nodeRegistryAbi } from '../../src/chain/generated/node-registry';
import { rewardPoolAbi } from '../../src/chain/generated/reward-pool';
import { coreInterface, type Escrow } from './escrow';

/** A decoded log with the time of its block, which no event carries itself. */
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

/** Returns the names of all events in a contract's ABI. */
export function eventNames(contract: TimedEvent['contract']): string[] {
  const names: string[] = [];
  interfaces[contract].forEachEvent(({ name }) => names.push(name));
  return names;
}

/**
 * Returns every event that escrow, registry and pool emitted from a block on, in chain order. Throws for an
 * event missing from their ABIs.
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
