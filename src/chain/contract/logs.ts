/** Decodes logs as `eth_getLogs` returns them, without ethers' own log objects. */
import { badLog, readEvent } from './event-reader';
import { type CoreEvent, translate } from './events';

/** A log in an answer to `eth_getLogs`. */
export interface RawLog {
  address: string;
  topics: readonly string[];
  data: string;
  blockNumber: string;
  blockHash: string;
  transactionHash: string;
  logIndex: string;
}

const QUANTITY = /^0x[0-9a-f]{1,13}$/i;
const HASH = /^0x[0-9a-f]{64}$/i;

/**
 * Returns the event in a log; undefined for one that is not about a job. The caller checks that the contract
 * wrote the log. Throws a `LogError` for a log that the contract cannot have written.
 */
export function decodeLog(log: RawLog): CoreEvent | undefined {
  const { blockHash, transactionHash: txHash } = log;
  const place = { blockNumber: Number(log.blockNumber), blockHash, txHash, logIndex: Number(log.logIndex) };
  if (!QUANTITY.test(log.blockNumber) || !QUANTITY.test(log.logIndex)) badLog(place, 'a number is malformed');
  if (!HASH.test(blockHash) || !HASH.test(txHash)) badLog(place, 'a hash is malformed');
  const event = readEvent(log, place);
  return event && translate(event, place);
}
