import type { CoreEvent } from '../chain/events';
import type { Address, JobId } from '../domain/ids';
import type { ChainState } from '../domain/job';
import type { Store } from '../store/open';

/** A job's change of state as the chain tells it. */
export interface ChainMove {
  jobId: JobId;
  state: ChainState;
  node?: Address | undefined;
}

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

function moveOf(event: CoreEvent): ChainMove | undefined {
  switch (event.type) {
    case 'JobRequested':
      return { jobId: event.jobId, state: 'REQUESTED' };
    case 'JobCanceled':
      return { jobId: event.jobId, state: 'CANCELED' };
    case 'JobExpired':
    case 'JobTimedOut':
      return { jobId: event.jobId, state: 'TIMEOUT' };
    case 'JobProcessing':
      return { jobId: event.jobId, state: 'PROCESSING', node: event.node };
    case 'JobDeclined':
      return { jobId: event.jobId, state: event.reopened ? 'REQUESTED' : 'DECLINED' };
    case 'JobSubmitted':
      return { jobId: event.jobId, state: 'SUBMITTED', node: event.node };
    case 'JobVerified':
      return { jobId: event.jobId, state: 'VERIFIED' };
    case 'JobRejected':
      return { jobId: event.jobId, state: 'FAILED' };
    case 'JobChallenged':
      return { jobId: event.jobId, state: 'DISPUTED' };
    case 'JobUnwound':
      return { jobId: event.jobId, state: 'UNVERIFIED' };
    default:
      return undefined;
  }
}
