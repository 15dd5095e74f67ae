/** The states of a job, on chain and in a master's queue, each set with its transition table. */

/** The contract's states in the order of its enum: the index is the number on chain. */
export const chainStates = [
  'NONE',
  'REQUESTED',
  'PROCESSING',
  'SUBMITTED',
  'VERIFIED',
  'CANCELED',
  'TIMEOUT',
  'FAILED',
  'DECLINED',
  'DISPUTED',
  'UNVERIFIED',
] as const;
export type ChainState = (typeof chainStates)[number];

/** The moves the contract allows (docs/escrow.md has their calls and their money). */
export const chainNext = {
  NONE: ['REQUESTED'],
  REQUESTED: ['PROCESSING', 'CANCELED', 'TIMEOUT'],
  PROCESSING: ['SUBMITTED', 'REQUESTED', 'DECLINED', 'TIMEOUT'],
  SUBMITTED: ['VERIFIED', 'FAILED', 'DISPUTED'],
  DISPUTED: ['VERIFIED', 'FAILED', 'UNVERIFIED'],
  VERIFIED: [],
  CANCELED: [],
  TIMEOUT: [],
  FAILED: [],
  DECLINED: [],
  UNVERIFIED: [],
} as const satisfies Record<ChainState, readonly ChainState[]>;

/** True for a chain state that a job never leaves. */
export function isTerminal(state: ChainState): boolean {
  return chainNext[state].length === 0;
}

/** Whether a verdict may still be given: a challenged result can only be settled by verifiers. */
export function awaitsVerdict(state: ChainState): boolean {
  return state === 'SUBMITTED' || state === 'DISPUTED';
}

/**
 * What a master is doing with a job. `queued` jobs belong to no master in a shared queue; every later state
 * belongs to the master that claimed the row. The main moves; `jobNext` has all of them:
 *
 *     queued → claimed → preparing → training → exporting → submitting → submitted → verified
 *        ↓        ↓          ↓           ↓           ↓
 *     skipped ←───┴──────────┘       declining → declined        (any claimed state) → failed
 *
 * `claimed`: fetching the data. `preparing`: the plan is made, `process()` may be under way. `skipped`:
 * considered and not taken, with a reason; where that was not the requester's fault it is considered again
 * (`skipped → claimed`). `declining`: taken on chain and being given back. `failed`: the chain ended the job
 * without paying this master (rejected, timed out, canceled, unverified, taken by another). An idle job that
 * this node has by the chain's word is taken up (`skipped → claimed`, `failed → claimed`), or given back
 * after all (`declined → declining`). A master that takes a job over from another machine, whose weights are
 * not here, prepares it anew (`… → claimed`). The operator may put an idle job that is open on chain back
 * into the queue; the chain does so with a job that another node gave back.
 */
export const jobNext = {
  queued: ['claimed', 'skipped', 'failed'],
  skipped: ['queued', 'claimed', 'failed'],
  claimed: ['preparing', 'queued', 'skipped', 'declining', 'failed'],
  preparing: ['training', 'claimed', 'skipped', 'declining', 'failed'],
  training: ['exporting', 'claimed', 'declining', 'failed'],
  exporting: ['submitting', 'claimed', 'declining', 'failed'],
  submitting: ['submitted', 'failed'],
  submitted: ['verified', 'failed'],
  declining: ['declined', 'failed'],
  verified: [],
  declined: ['queued', 'declining'],
  failed: ['queued', 'claimed'],
} as const satisfies Record<string, readonly string[]>;
export type JobState = keyof typeof jobNext;

/** States in which no master works on a job: it waits to be claimed, or is over. */
const idleStates = ['queued', 'skipped', 'verified', 'declined', 'failed'] as const satisfies readonly JobState[];

/** A state in which a master is working on a job and must resume it after a restart. */
export type ActiveState = Exclude<JobState, (typeof idleStates)[number]>;

/** Narrows a state to those in which a master works on the job. */
export function isActive(state: JobState): state is ActiveState {
  return !(idleStates as readonly JobState[]).includes(state);
}

/** Every active state, in the order of the table. */
export const activeStates: readonly ActiveState[] = (Object.keys(jobNext) as JobState[]).filter(isActive);

/** True while workers train the job, or are kept for it. */
export function needsWorkers(state: JobState): boolean {
  return state === 'claimed' || state === 'preparing' || state === 'training';
}

/** True while the job needs this box: its Python child, and its part of `maxJobs`. */
export function needsBox(state: JobState): boolean {
  return isActive(state) && state !== 'submitted' && state !== 'declining';
}

/** True when the job may move from one state to the other. */
export function canMove(from: JobState, to: JobState): boolean {
  return (jobNext[from] as readonly JobState[]).includes(to);
}
