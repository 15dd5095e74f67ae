/** What becomes of a job whose step failed, decided by state, error and number of attempts alone. */
import type { ActiveState, ChainState } from '../domain/job';
import { AppError, errorCode } from '../lib/errors';
import { isJobFault } from './coordinator';

/** Thrown into a run whose job the chain has ended, or given to another node. */
export type JobRunError = { code: 'job/ended-on-chain'; chainState: ChainState };

export type FailureDecision =
  /** The chain ended the job: nothing is left to do. */
  | { kind: 'end'; to: 'failed' }
  /** Trying again would not help: leave the job, or give it back once it is taken on chain. */
  | { kind: 'leave'; to: 'skipped' | 'declining' }
  | { kind: 'retry' };

const MAX_ATTEMPTS = 5;

/**
 * Decides on the step of `state` that threw. It does not help to try again when the job's own data or
 * parameters are at fault, when it diverges, when its deadline is too near, or after too many attempts. All
 * else may be this machine's or the network's fault. From `submitting` on there is a result to be paid for,
 * and from `declining` on a deposit to get back: these never give up.
 */
export function decideFailure(state: ActiveState, error: unknown, attempts: number): FailureDecision {
  const code = errorCode(error);
  if (code === 'job/ended-on-chain') return { kind: 'end', to: 'failed' };
  const isOver = code === 'job/deadline-near' || code === 'job/diverged';
  const isHopeless = isJobFault(error) || isOver || attempts >= MAX_ATTEMPTS;
  if (isHopeless && (state === 'claimed' || state === 'preparing')) return { kind: 'leave', to: 'skipped' };
  if (isHopeless && (state === 'training' || state === 'exporting')) return { kind: 'leave', to: 'declining' };
  return { kind: 'retry' };
}

export function endedOnChain(chainState: ChainState): AppError<JobRunError> {
  return new AppError({ code: 'job/ended-on-chain', chainState }, `The chain says ${chainState}`);
}
