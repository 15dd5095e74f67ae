/** Writes the chain's events into the board's tables. */
import type { CoreEvent } from '../chain/contract/events';
import { moveOf } from '../chain/contract/moves';
import type { ChainCursor } from '../chain/reading/final-reader';
import type { TentativeBatch } from '../chain/reading/reorg-reader';
import type { IndexedEvent } from '../store/board';
import type { Store } from '../store/open';

/** Fields of an event with a column of their own; the others are stored as facts. */
const NO_FACTS = new Set(['type', 'jobId', 'blockNumber', 'blockHash', 'txHash', 'logIndex']);

/** Writes final events, in the transaction that also stores the reader's cursor. */
export async function indexFinal(tx: Store, events: readonly CoreEvent[], cursor: ChainCursor): Promise<void> {
  await tx.board.takeFinal(events.map(toIndexed), cursor.number);
}

/** Writes events a reorganisation may still undo, together with the reader's tentative cursor. */
export async function indexTentative(store: Store, cursorId: string, batch: TentativeBatch): Promise<void> {
  await store.transaction(async (tx) => {
    await tx.board.takeTentative(batch.from, batch.events.map(toIndexed));
    await tx.cursors.saveTentative(cursorId, batch.cursor);
  });
}

function toIndexed(event: CoreEvent): IndexedEvent {
  const { jobId, type, blockNumber, blockHash, txHash, logIndex } = event;
  const move = moveOf(event);
  const facts = Object.entries(event).filter(([key, value]) => !NO_FACTS.has(key) && value !== undefined);
  return {
    jobId,
    type,
    blockNumber,
    blockHash,
    txHash,
    logIndex,
    state: move?.state,
    node: move?.node,
    request: move?.request,
    facts: Object.fromEntries(facts.map(([key, value]) => [key, String(value)])),
  };
}
