/** What the chain's state of a job means for the master that works on it, in one rule for all steps. */
import type { Address } from '../domain/ids';
import { type ActiveState, type ChainState, isTerminal } from '../domain/job';
import { endedOnChain } from './step-failure';

export interface ChainStanding {
  state: ChainState;
  /** The node that has the job. */
  node?: Address | undefined;
}

/** True when the job is taken by this node and waits for its result. */
export function isTakenBy(self: Address, { state, node }: ChainStanding): boolean {
  return state === 'PROCESSING' && node === self;
}

/**
 * True when the chain leaves the master nothing to do in its state: the job is over, belongs to another node,
 * or is open again although it was taken. A job that is being given back is done when it no longer belongs to
 * this node.
 */
export function endsWork(state: ActiveState, self: Address, chain: ChainStanding): boolean {
  if (state === 'declining') return isTerminal(chain.state) && chain.state !== 'DECLINED';
  if (chain.state === 'REQUESTED') return state !== 'claimed' && state !== 'preparing';
  const isOthers = chain.node !== undefined && chain.node !== self;
  return isOthers || (isTerminal(chain.state) && chain.state !== 'VERIFIED');
}

/** Throws `job/ended-on-chain` when the chain ends the work. */
export function requireWork(state: ActiveState, self: Address, chain: ChainStanding): void {
  if (endsWork(state, self, chain)) throw endedOnChain(chain.state);
}
