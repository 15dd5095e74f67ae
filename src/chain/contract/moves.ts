import type { Address, JobId } from '../../domain/ids';
import type { ChainState } from '../../domain/job';
import type { CoreEvent } from './events';

/** A job's change of state as the chain tells it. */
export interface ChainMove {
  jobId: JobId;
  state: ChainState;
  node?: Address | undefined;
}

/** Where an event leaves its job; undefined for one that changes no state. */
export function moveOf(event: CoreEvent): ChainMove | undefined {
  const { jobId } = event;
  switch (event.type) {
    case 'JobRequested':
      return { jobId, state: 'REQUESTED' };
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
