import { zeroPadValue } from 'ethers';
import type { Address, JobId } from '../domain/ids';
import type { Chain } from './client';
import { coreInterface, decodeEvent } from './events';

// Providers limit how many blocks one question may span; few refuse this many.
const SPAN_BLOCKS = 9_999;

/** Every job the node ever took, oldest first; one it took twice appears once. */
export async function jobsTakenBy(chain: Chain, node: Address, fromBlock: number): Promise<JobId[]> {
  const topic = coreInterface.getEvent('JobProcessing')?.topicHash ?? null;
  const topics = [topic, null, zeroPadValue(node, 32)];
  const head = await chain.headBlock();
  const taken = new Set<JobId>();
  for (let from = fromBlock; from <= head; from += SPAN_BLOCKS + 1) {
    const toBlock = Math.min(head, from + SPAN_BLOCKS);
    const logs = await chain.provider.getLogs({ address: chain.core, fromBlock: from, toBlock, topics });
    for (const log of logs) {
      const event = decodeEvent(log);
      if (event) taken.add(event.jobId);
    }
  }
  return [...taken];
}
