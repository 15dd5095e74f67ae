import type { JobId } from '../domain/ids';
import { never } from '../lib/errors';
import type { MasterMessage, Offer, WorkerMessage, WorkerMessageIn } from '../protocol/link';

export type OfferedJob = Extract<MasterMessage, { type: 'job.open' }>;
export type OfferedLease = Extract<MasterMessage, { type: 'lease.grant' }>;
export type Commit = Extract<WorkerMessage, { type: 'lease.commit' }>;

/** A job this worker was called to, and what was learnt about doing it here. */
export interface OpenJob {
  readonly job: OfferedJob;
  /** Sequences computed at once; halved when the device has too little memory for them. */
  readonly microBatch: number;
  /** Leases given up in a row. */
  readonly failedLeases: number;
}

/**
 * Where a worker stands. Every state but `free` also ends with `job.close`, or when another job is opened.
 *
 *     free ─job.open→ opening ─opened→ ready ─grant→ training ─trained→ finished
 *                                        ↑              │                  │
 *                                        └─revoked, failed for good        │
 *                                        └────verdict, revoked, unanswered─┘
 *
 * A cut of the link changes nothing: training goes on, and a finished round is committed again at the next welcome.
 */
export type WorkerState =
  | { readonly kind: 'free' }
  | { readonly kind: 'opening' | 'ready'; readonly openJob: OpenJob }
  | { readonly kind: 'training'; readonly openJob: OpenJob; readonly lease: OfferedLease; readonly tried: Tried }
  | { readonly kind: 'finished'; readonly openJob: OpenJob; readonly lease: OfferedLease; readonly commit: Commit };

/** What went wrong with the present lease so far. */
export interface Tried {
  readonly crashes: number;
  readonly ooms: number;
}

export type WorkerInput =
  | { type: 'message'; message: MasterMessage }
  | { type: 'welcome' }
  | { type: 'opened'; jobId: JobId }
  | { type: 'open-failed'; jobId: JobId; code: string; reason: string }
  | { type: 'trained'; commit: Commit }
  | { type: 'round-failed'; leaseId: string; code: string; reason: string }
  /** The master has not said a word about a commit for too long. */
  | { type: 'unanswered'; leaseId: string };

export type WorkerEffect =
  | { type: 'send'; message: WorkerMessageIn }
  /** Send it, and wait for the verdict. */
  | { type: 'commit'; commit: Commit }
  | { type: 'open'; job: OfferedJob; microBatch: number }
  /** `restart`: with a new child. */
  | { type: 'train'; job: OfferedJob; lease: OfferedLease; microBatch: number; restart: boolean }
  | { type: 'cancel'; leaseId: string }
  /** Remove a lease's files and blobs. */
  | { type: 'forget'; leaseId: string }
  /** End the child and remove the job's files. */
  | { type: 'close'; jobId: JobId };

export interface Step {
  state: WorkerState;
  effects: WorkerEffect[];
}

/** A worker on which so many leases in a row came to nothing is of no use to the job, and says so. */
const MAX_FAILED_LEASES = 3;
/** The child is to blame, or the bytes it was given: a fresh one with fresh bytes may do better. */
const RESTARTABLE = /^(runner|model|data|worker)\//;

/** The whole behaviour of a worker, as a function: what it does next and where it stands then. */
export function advance(state: WorkerState, input: WorkerInput, microBatch: number): Step {
  switch (input.type) {
    case 'message':
      return onMessage(state, input.message, microBatch);
    case 'welcome':
      return stay(state, state.kind === 'finished' ? [{ type: 'commit', commit: state.commit }] : []);
    case 'opened':
      return onOpened(state, input.jobId);
    case 'open-failed':
      return onOpenFailed(state, input);
    case 'trained':
      return onTrained(state, input.commit);
    case 'round-failed':
      return onRoundFailed(state, input);
    case 'unanswered':
      return dropLease(state, input.leaseId);
    default:
      return never(input);
  }
}

/** What a reconnecting worker tells the master it still has. */
export function heldLease(state: WorkerState): Offer['held'] {
  if (state.kind !== 'training' && state.kind !== 'finished') return undefined;
  const { jobId, leaseId } = state.lease;
  return state.kind === 'finished' ? { jobId, leaseId, update: state.commit.update } : { jobId, leaseId };
}

function onMessage(state: WorkerState, message: MasterMessage, microBatch: number): Step {
  switch (message.type) {
    case 'job.open':
      return onOpen(state, message, microBatch);
    case 'lease.grant':
      return onGrant(state, message);
    case 'lease.revoke':
    case 'update.verdict':
      return dropLease(state, message.leaseId);
    case 'job.close':
      return isIn(state, message.jobId) ? { state: { kind: 'free' }, effects: leave(state) } : stay(state);
    default: // receipts are kept elsewhere; the rest is the link's own business
      return stay(state);
  }
}

/** The master repeats `job.open` whenever the worker comes back; that must not disturb what is going on. */
function onOpen(state: WorkerState, job: OfferedJob, wanted: number): Step {
  if (isIn(state, job.jobId)) {
    return stay(state, state.kind === 'opening' ? [] : [{ type: 'send', message: ready(job.jobId) }]);
  }
  const microBatch = Math.min(wanted, job.params.batch);
  return {
    state: { kind: 'opening', openJob: { job, microBatch, failedLeases: 0 } },
    effects: [...leave(state), { type: 'open', job, microBatch }],
  };
}

function onOpened(state: WorkerState, jobId: JobId): Step {
  if (!isIn(state, jobId) || state.kind !== 'opening') return stay(state);
  return { state: { kind: 'ready', openJob: state.openJob }, effects: [{ type: 'send', message: ready(jobId) }] };
}

function onOpenFailed(state: WorkerState, failure: Extract<WorkerInput, { type: 'open-failed' }>): Step {
  const { jobId, code, reason } = failure;
  if (!isIn(state, jobId)) return stay(state);
  const told: WorkerEffect = { type: 'send', message: { type: 'job.failed', jobId, ...limit({ code, reason }) } };
  return { state: { kind: 'free' }, effects: [told, ...leave(state)] };
}

function onGrant(state: WorkerState, lease: OfferedLease): Step {
  const { leaseId, jobId } = lease;
  if (!isIn(state, jobId)) {
    const why = { code: 'worker/job-not-open', reason: `job ${jobId} is not open here` };
    return stay(state, [{ type: 'send', message: { type: 'lease.failed', leaseId, ...why } }]);
  }
  const held = heldLease(state);
  if (held?.leaseId === leaseId) {
    return stay(state, state.kind === 'finished' ? [{ type: 'commit', commit: state.commit }] : []);
  }
  // Who grants a new lease has given up on the old one.
  const { openJob } = state;
  return {
    state: { kind: 'training', openJob, lease, tried: { crashes: 0, ooms: 0 } },
    effects: [
      ...dropHeld(state),
      { type: 'train', job: openJob.job, lease, microBatch: openJob.microBatch, restart: false },
    ],
  };
}

function onTrained(state: WorkerState, commit: Commit): Step {
  if (state.kind !== 'training' || state.lease.leaseId !== commit.leaseId) return stay(state);
  const openJob = { ...state.openJob, failedLeases: 0 };
  return { state: { kind: 'finished', openJob, lease: state.lease, commit }, effects: [{ type: 'commit', commit }] };
}

function onRoundFailed(state: WorkerState, failure: Extract<WorkerInput, { type: 'round-failed' }>): Step {
  if (state.kind !== 'training' || state.lease.leaseId !== failure.leaseId) return stay(state);
  const again = nextAttempt(state.tried, state.openJob.microBatch, failure.code);
  if (!again) return giveUp(state, failure);
  const openJob = { ...state.openJob, microBatch: again.microBatch };
  return {
    state: { ...state, openJob, tried: again.tried },
    effects: [{ type: 'train', job: openJob.job, lease: state.lease, microBatch: again.microBatch, restart: true }],
  };
}

/**
 * A round that failed is done once more from its start. Out of memory: the first time as it was (a neighbour may have taken the
 * memory), then with micro-batches of half the size, down to one.
 */
function nextAttempt(tried: Tried, microBatch: number, code: string): { tried: Tried; microBatch: number } | undefined {
  if (code === 'train/oom') {
    const next = { ...tried, ooms: tried.ooms + 1 };
    if (next.ooms === 1) return { tried: next, microBatch };
    return microBatch > 1 ? { tried: next, microBatch: Math.floor(microBatch / 2) } : undefined;
  }
  if (!RESTARTABLE.test(code) || tried.crashes > 0) return undefined;
  return { tried: { ...tried, crashes: 1 }, microBatch };
}

function giveUp(
  state: Extract<WorkerState, { kind: 'training' }>,
  failure: { leaseId: string; code: string; reason: string },
): Step {
  const { leaseId } = failure;
  const openJob = { ...state.openJob, failedLeases: state.openJob.failedLeases + 1 };
  const told: WorkerEffect = { type: 'send', message: { type: 'lease.failed', leaseId, ...limit(failure) } };
  if (openJob.failedLeases < MAX_FAILED_LEASES) {
    return { state: { kind: 'ready', openJob }, effects: [told, { type: 'forget', leaseId }] };
  }
  const { jobId } = openJob.job;
  const parting: WorkerEffect = { type: 'send', message: { type: 'job.failed', jobId, ...limit(failure) } };
  return { state: { kind: 'free' }, effects: [told, parting, { type: 'forget', leaseId }, { type: 'close', jobId }] };
}

/** The lease is settled, whichever way; a word about any other is an echo. */
function dropLease(state: WorkerState, leaseId: string): Step {
  if (heldLease(state)?.leaseId !== leaseId || state.kind === 'free') return stay(state);
  return { state: { kind: 'ready', openJob: state.openJob }, effects: dropHeld(state) };
}

function dropHeld(state: WorkerState): WorkerEffect[] {
  if (state.kind !== 'training' && state.kind !== 'finished') return [];
  const { leaseId } = state.lease;
  const forget: WorkerEffect = { type: 'forget', leaseId };
  return state.kind === 'training' ? [{ type: 'cancel', leaseId }, forget] : [forget];
}

function leave(state: WorkerState): WorkerEffect[] {
  return state.kind === 'free' ? [] : [...dropHeld(state), { type: 'close', jobId: state.openJob.job.jobId }];
}

function isIn(state: WorkerState, jobId: JobId): state is Exclude<WorkerState, { kind: 'free' }> {
  return state.kind !== 'free' && state.openJob.job.jobId === jobId;
}

function stay(state: WorkerState, effects: WorkerEffect[] = []): Step {
  return { state, effects };
}

function ready(jobId: JobId): WorkerMessageIn {
  return { type: 'job.ready', jobId };
}

/** As much as the wire takes. */
function limit(failure: { code: string; reason: string }): { code: string; reason: string } {
  return { code: failure.code.slice(0, 60), reason: failure.reason.slice(0, 500) };
}
