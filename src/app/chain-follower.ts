/** Carries events of the chain into the queue of jobs, for every role that keeps one. */
import { indexFinal } from '../board/indexer';
import type { CoreEvent } from '../chain/contract/events';
import { moveOf } from '../chain/contract/moves';
import type { ChainCursor } from '../chain/reading/final-reader';
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

/** Writes final events into the queue and into the board's index. */
export async function recordFinal(tx: Store, events: readonly CoreEvent[], cursor: ChainCursor): Promise<ChainMove[]> {
  const moves = await applyEvents(tx, events);
  await indexFinal(tx, events, cursor);
  return moves;
}
