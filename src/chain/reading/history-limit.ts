/** What is said of a node that keeps only the newer part of the chain: from which block on it can be read. */
import { describeError } from '../../lib/errors';
import { RpcError } from '../rpc/rpc';
import { type LogSource, NotReady } from './log-source';

/** The node has no history as far back as it is needed. Waiting does not help. */
export class HistoryMissing extends Error {
  override readonly name = 'HistoryMissing';

  constructor(from: number, first: number, cause: unknown) {
    super(
      `The Ethereum node can be read only from chain block ${first} on, and block ${from} is needed; use a node with the ` +
        `whole history, or set \`fromBlock\` to ${first} if the contracts were deployed there or later (${describeError(cause)})`,
    );
  }
}

/**
 * Throws the error that reading from a block on has met; where the node serves later blocks and not that one,
 * it throws `HistoryMissing` with the first that it serves.
 */
export async function explainMissing(
  source: LogSource,
  { from, end }: { from: number; end: number },
  error: unknown,
): Promise<never> {
  if (!isLack(error) || (await serves(source, from)) || !(await serves(source, end))) throw error;
  let [missing, first] = [from, end];
  while (first - missing > 1) {
    const middle = Math.floor((missing + first) / 2);
    if (await serves(source, middle)) first = middle;
    else missing = middle;
  }
  throw new HistoryMissing(from, first, error);
}

/** True when the node has the block and its logs. */
async function serves(source: LogSource, number: number): Promise<boolean> {
  try {
    await source.block(number);
    await source.logsBetween(number, number);
    return true;
  } catch (error) {
    if (isLack(error)) return false;
    throw error;
  }
}

function isLack(error: unknown): boolean {
  return error instanceof RpcError || error instanceof NotReady;
}
