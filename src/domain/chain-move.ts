/** What an event of the chain does to its job: the one form in which decoder, queue and board exchange it. */
import type { Address, JobId } from './ids';
import type { ChainState } from './job';

/** A job as its request states it. */
export interface NewJob {
  id: JobId;
  requester: Address;
  dataset: string;
  params: string;
  feeWei: bigint;
  fuelLimit: bigint;
  deadlineMs: number;
  requestedBlock: number;
}

/** The state in which an event leaves its job. */
export interface ChainMove {
  jobId: JobId;
  state: ChainState;
  /** The node that took the job or submitted its result; absent for every other event. */
  node?: Address | undefined;
  /** The new job; present only when the event is its request. */
  request?: NewJob | undefined;
}
