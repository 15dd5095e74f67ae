import type { CoreEvent } from '../chain/contract/events';
import { type ChainMove, moveOf } from '../chain/contract/moves';
import type { ChainNote } from '../store/jobs';
import type { Store } from '../store/open';

/**
 * Writes events into the queue, in the chain's order. A batch may be handed over again after a crash or a reorg: see
 * `Jobs.applyChain`. Returns what they mean for jobs, in the same order.
 */
export async function applyEvents(store: Store, events: readonly CoreEvent[]): Promise<ChainMove[]> {
  const notes = events.flatMap((event) => noteOf(event) ?? []);
  await store.jobs.applyChain(notes);
  return notes;
}

/** Undefined for an event that changes no state. */
function noteOf(event: CoreEvent): ChainNote | undefined {
  const move = moveOf(event);
  if (!move || event.type !== 'JobRequested') return move;
  const { requester, dataset, params, feeWei, fuelLimit, deadlineMs, blockNumber: requestedBlock } = event;
  const request = { id: event.jobId, requester, dataset, params, feeWei, fuelLimit, deadlineMs, requestedBlock };
  return { ...move, request };
}
