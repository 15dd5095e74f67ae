/** What becomes of a job whose step failed: whose fault it is decides, never how often it failed. */
import { isDataFault } from '../domain/data-fault';
import type { ActiveState, ChainState } from '../domain/job';
import { AppError, errorCode } from '../lib/errors';

/** Thrown into a run whose job the chain has ended, or given to another node. */
export type JobRunError = { code: 'job/ended-on-chain'; chainState: ChainState };

/** Who must do something before a job that was left can be taken: its requester, or time and this node. */
export type LeftFor = 'requester' | 'node';

export type FailureDecision =
  /** The chain ended the job: nothing is left to do. */
  | { kind: 'end' }
  /** The job cannot be done, or not here and now: leave it, or give it back once it is taken on chain. */
  | { kind: 'leave'; for: LeftFor }
  /** This node's own trouble, which passes: the same step again. */
  | { kind: 'wait' };

/** What the requester gave, which no node can train. All of it is looked at before a job is taken. */
const GIVEN_FAULT =
  /^(params\/|data\/too-large$|dataset\/(bad-reference|empty|too-large|hash-mismatch|forbidden-address)$|base\/(?!missing$|hub-away$|no-access$|other-bytes$)|job\/low-pay$)/;
/** What training makes of it, which no node would do better. */
const TRAINING_FAULT = /^(model\/not-finite$|job\/(diverged|no-gain)$)/;
/** The job could be done, but not by this node in the time that is left. */
const OUT_OF_REACH = /^job\/(deadline-near|out-of-reach|no-worker)$/;
/** Data or base are not to be had now; other jobs need not wait for them. */
const DATA_AWAY = /^(dataset\/|base\/|https\/|blobs\/(not-stored|storage-|hash-mismatch$))/;
/**
 * Trouble that may well be this one job's, as other jobs have other data and parameters; or that another
 * master on the same queue may not have, and only its operator ends.
 */
const PERHAPS_ELSEWHERE = /^(runner\/|model\/|train\/|disk\/|unknown$)/;
/** The contract refuses this node, or its account cannot pay; once more, as the chain may have moved on. */
const REFUSED = /^chain\/(reverted|failed|no-funds|not-enough-)/;
const REFUSALS = 2;
/** After so many failures in a row a job that is not taken yet makes room for others. */
const PATIENCE = 5;

/** True when the requester's data, base or parameters cannot be trained by any node. */
export function isJobFault(error: unknown): boolean {
  return error instanceof AppError && (isDataFault(error.code) || GIVEN_FAULT.test(error.code));
}

/**
 * Decides on the step of `state` that threw, the `attempts`th time in a row. Store, disk, chain, storage and
 * Python child come back, so the step is done again. A job that is not taken yet makes room for others after
 * some attempts and is looked at again later. From `submitting` on there is a result to be paid for, and from
 * `declining` on a deposit to get back: these never give up.
 */
export function decideFailure(state: ActiveState, error: unknown, attempts: number): FailureDecision {
  const code = errorCode(error);
  if (code === 'job/ended-on-chain') return { kind: 'end' };
  const isFree = state === 'claimed' || state === 'preparing';
  if (!isFree && state !== 'training' && state !== 'exporting') return { kind: 'wait' };
  // Data and base were found good when the job was taken: what is wrong with them later is this machine's.
  const isTheirs = TRAINING_FAULT.test(code) || (isFree && isJobFault(error));
  if (isTheirs) return { kind: 'leave', for: 'requester' };
  if (OUT_OF_REACH.test(code)) return { kind: 'leave', for: 'node' };
  const makesRoom =
    DATA_AWAY.test(code) ||
    (REFUSED.test(code) && attempts >= REFUSALS) ||
    (PERHAPS_ELSEWHERE.test(code) && attempts >= PATIENCE);
  return isFree && makesRoom ? { kind: 'leave', for: 'node' } : { kind: 'wait' };
}

export function endedOnChain(chainState: ChainState): AppError<JobRunError> {
  return new AppError({ code: 'job/ended-on-chain', chainState }, `The chain says ${chainState}`);
}
