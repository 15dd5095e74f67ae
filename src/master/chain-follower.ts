import type { CoreEvent } from '../chain/events';
import { type ChainMove, moveOf } from '../chain/moves';
import type { Store } from '../store/open';

/**
 * Writes one event into the queue. Repeating it changes nothing, so a batch may be handed over again after a crash or a
 * reorg. Returns what it means for a job, if anything.
 */
export async function applyEvent(store: Store, event: CoreEvent): Promise<ChainMove | undefined> {
  const move = moveOf(event);
  if (event.type === 'JobRequested') {
    await store.jobs.saveRequested({
      id: event.jobId,
      requester: event.requester,
      dataset: event.dataset,
      params: event.params,
      feeWei: event.feeWei,
      fuelLimit: event.fuelLimit,
      deadlineMs: event.deadlineMs,
      requestedBlock: event.blockNumber,
    });
  } else if (move) {
    await store.jobs.applyChainState(move.jobId, move.state, { node: move.node });
  }
  return move;
}
