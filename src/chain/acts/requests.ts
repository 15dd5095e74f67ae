/** The job requests inside one transaction. */
import { type CoreEvent, decodeEvent } from '../contract/events';
import type { Chain } from '../rpc/client';

export type Requested = Extract<CoreEvent, { type: 'JobRequested' }>;

/** Returns the requests that a transaction made to the contract; none while it is not mined. */
export async function requestsIn(chain: Chain, txHash: string): Promise<Requested[]> {
  const receipt = await chain.provider.getTransactionReceipt(txHash);
  const own = (receipt?.logs ?? []).filter(({ address }) => address.toLowerCase() === chain.core);
  return own.flatMap((log) => decodeEvent(log) ?? []).filter((event) => event.type === 'JobRequested');
}
