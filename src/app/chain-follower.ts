/** Carries events of the chain into the queue of jobs, for every role that keeps one. */
import type { CoreEvent } from '../chain/contract/events';
import { moveOf } from '../chain/contract/moves';
import type { ChainMove } from '../domain/chain-move';
import type { Store } from '../store/open';

/**
 * Writes events into the queue, in the chain's order, and returns the moves they stand for. Applying a batch
 * again, after a crash or a reorganisation, is harmless: see `Jobs.applyChain`.
 */
export async function applyEvents({ jobs }: Pick<Store, 'jobs'>, events: readonly CoreEvent[]): Promise<ChainMove[]> {
  const moves = events.flatMap((event) => moveOf(event) ?? []);
  await jobs.applyChain(moves);
  return moves;
}
