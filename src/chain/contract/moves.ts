/** The effect of each contract event on its job's state. */
import type { ChainMove, NewJob } from '../../domain/chain-move';
import type { CoreEvent } from './events';

/** Returns the state in which an event leaves its job; undefined for an event that changes no state. */
export function moveOf(event: CoreEvent): ChainMove | undefined {
  const { jobId } = event;
  switch (event.type) {
    case 'JobRequested':
      return { jobId, state: 'REQUESTED', request: newJob(event) };
    case 'JobCanceled':
      return { jobId, state: 'CANCELED' };
    case 'JobExpired':
    case 'JobTimedOut':
      return { jobId, state: 'TIMEOUT' };
    case 'JobProcessing':
      return { jobId, state: 'PROCESSING', node: event.node };
    case 'JobDeclined':
      return { jobId, state: event.reopened ? 'REQUESTED' : 'DECLINED' };
    case 'JobSubmitted':
      return { jobId, state: 'SUBMITTED', node: event.node };
    case 'JobVerified':
      return { jobId, state: 'VERIFIED' };
    case 'JobRejected':
      return { jobId, state: 'FAILED' };
    case 'JobChallenged':
      return { jobId, state: 'DISPUTED' };
    case 'JobUnwound':
      return { jobId, state: 'UNVERIFIED' };
    default:
      return undefined;
  }
}

function newJob(event: Extract<CoreEvent, { type: 'JobRequested' }>): NewJob {
  const { jobId: id, requester, dataset, params, feeWei, fuelLimit, deadlineMs, blockNumber: requestedBlock } = event;
  return { id, requester, dataset, params, feeWei, fuelLimit, deadlineMs, requestedBlock };
}
