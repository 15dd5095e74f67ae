import { badLog, readEvent } from './event-reader';
import { type CoreEvent, translate } from './events';

/** A log as `eth_getLogs` answers it. */
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
 * The event in a log of the contract; undefined for one that is not about a job. Which contract wrote the log is the caller's to
 * check. Throws a `LogError` for a log that the contract cannot have written.
 */
export function decodeLog(log: RawLog): CoreEvent | undefined {
  const { blockHash, transactionHash: txHash } = log;
  const place = { blockNumber: Number(log.blockNumber), blockHash, txHash, logIndex: Number(log.logIndex) };
  if (!QUANTITY.test(log.blockNumber) || !QUANTITY.test(log.logIndex)) badLog(place, 'it has no number');
  if (!HASH.test(blockHash) || !HASH.test(txHash)) badLog(place, 'it has no hash');
  const event = readEvent(log, place);
  return event && translate(event, place);
}
