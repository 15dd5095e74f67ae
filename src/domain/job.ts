/** The contract's states, by its own numbers. */
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

/**
 * What our own master is doing with a job. `queued` jobs are anybody's in a shared queue; every later state
 * belongs to the master that claimed the row.
 *
 *     queued → claimed → preparing → training → exporting → submitting → submitted → verified
 *        ↓        ↓          ↓           ↓           ↓
 *     skipped ←───┴──────────┘       declining → declined        (any of ours) → failed
 *
 * `claimed`: fetching the data. `preparing`: the plan is made, `process()` may be under way. `skipped`: looked at and not
 * taken, with a reason; it may be looked at again (`skipped → queued`). `declining`: taken on chain and given back.
 * `failed`: the chain ended the job without paying us (rejected, timed out, canceled, unverified).
 */
export const jobNext = {
  queued: ['claimed', 'skipped', 'failed'],
  skipped: ['queued', 'failed'],
  claimed: ['preparing', 'queued', 'skipped', 'declining', 'failed'],
  preparing: ['training', 'skipped', 'declining', 'failed'],
  training: ['exporting', 'declining', 'failed'],
  exporting: ['submitting', 'declining', 'failed'],
  submitting: ['submitted', 'failed'],
  submitted: ['verified', 'failed'],
  declining: ['declined', 'failed'],
  verified: [],
  declined: ['queued'],
  failed: [],
} as const satisfies Record<string, readonly string[]>;
export type JobState = keyof typeof jobNext;

/** States in which a master is working on a job and must resume it after a restart. */
export const activeStates = [
  'claimed',
  'preparing',
  'training',
  'exporting',
  'submitting',
  'submitted',
  'declining',
] as const satisfies readonly JobState[];

/** True when the job may move from one state to the other. */
export function canMove(from: JobState, to: JobState): boolean {
  return (jobNext[from] as readonly JobState[]).includes(to);
}

/** The chain states in which nothing more can happen to a job. */
export function isTerminal(state: ChainState): boolean {
  return ['VERIFIED', 'CANCELED', 'TIMEOUT', 'FAILED', 'DECLINED', 'UNVERIFIED'].includes(state);
}
