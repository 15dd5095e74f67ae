/** The worker's behaviour as a pure state machine: messages and outcomes in, effects out. */
import type { JobId } from '../domain/ids';
import { findOversized } from '../domain/lease-bounds';
import { never } from '../lib/errors';
import type { MasterMessage, Offer, WorkerMessage, WorkerMessageIn } from '../protocol/link';

export type OfferedJob = Extract<MasterMessage, { type: 'job.open' }>;
export type OfferedLease = Extract<MasterMessage, { type: 'lease.grant' }>;
export type Commit = Extract<WorkerMessage, { type: 'lease.commit' }>;

/** The job this worker has open, and what it learnt about running it on this machine. */
export interface OpenJob {
  readonly job: OfferedJob;
  /** Sequences computed at once; halved when the device runs out of memory. */
  readonly microBatch: number;
  /** Leases that failed in a row. */
  readonly failedLeases: number;
}

/**
 * The state of a worker. Every state but `free` also ends with `job.close`, or when another job is opened.
 *
 *     free ─job.open→ opening ─opened→ ready ─grant→ training ─trained→ finished
 *                                        ↑              │                  │
 *                                        └─revoked, failed for good        │
 *                                        └────verdict, revoked, unanswered─┘
 *
 * A lost connection changes nothing: training goes on, and a finished round is committed again after
 * reconnecting.
 */
export type WorkerState =
  | { readonly kind: 'free' }
  | { readonly kind: 'opening' | 'ready'; readonly openJob: OpenJob }
  | { readonly kind: 'training'; readonly openJob: OpenJob; readonly lease: OfferedLease; readonly tried: Tried }
  | { readonly kind: 'finished'; readonly openJob: OpenJob; readonly lease: OfferedLease; readonly commit: Commit };

/** Failed attempts at the present lease. */
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
  /** The master has not answered a commit in time. */
  | { type: 'unanswered'; leaseId: string };

export type WorkerEffect =
  | { type: 'send'; message: WorkerMessageIn }
  /** Send the commit and wait for its verdict. */
  | { type: 'commit'; commit: Commit }
  | { type: 'open'; job: OfferedJob; microBatch: number }
  /** `restart`: train in a new child. */
  | { type: 'train'; job: OfferedJob; lease: OfferedLease; microBatch: number; restart: boolean }
  | { type: 'cancel'; leaseId: string }
  /** Remove a lease's files and blobs. */
  | { type: 'forget'; leaseId: string }
  /** Stop the child and remove the job's files. */
  | { type: 'close'; jobId: JobId };

/** The next state and what to do on the way there. */
export interface WorkerStep {
  state: WorkerState;
  effects: WorkerEffect[];
}

/** After this many failed leases in a row, a worker gives up the job and reports it. */
const MAX_FAILED_LEASES = 3;
/**
 * Failures of the child or of its input, and unexpected ones: a new child with the blobs fetched again may
 * succeed.
 */
const RESTARTABLE = /^((runner|model|data|worker)\/|unknown$)/;

/** Returns what a worker does after an input, and its state afterwards. */
export function advance(state: WorkerState, input: WorkerInput, microBatch: number): WorkerStep {
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

/** Returns the lease a reconnecting worker offers to go on with. */
export function heldLease(state: WorkerState): Offer['held'] {
  if (state.kind !== 'training' && state.kind !== 'finished') return undefined;
  const { jobId, leaseId } = state.lease;
  return state.kind === 'finished' ? { jobId, leaseId, update: state.commit.update } : { jobId, leaseId };
}

function onMessage(state: WorkerState, message: MasterMessage, microBatch: number): WorkerStep {
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
    default: // worker.ts stores receipts, and the link handles the rest
      return stay(state);
  }
}

/** The master repeats `job.open` at every reconnect; that must not disturb a running job. */
function onOpen(state: WorkerState, job: OfferedJob, wanted: number): WorkerStep {
  if (isIn(state, job.jobId)) {
    return stay(state, state.kind === 'opening' ? [] : [{ type: 'send', message: ready(job.jobId) }]);
  }
  const microBatch = Math.min(wanted, job.params.batch);
  return {
    state: { kind: 'opening', openJob: { job, microBatch, failedLeases: 0 } },
    effects: [...leave(state), { type: 'open', job, microBatch }],
  };
}

function onOpened(state: WorkerState, jobId: JobId): WorkerStep {
  if (!isIn(state, jobId) || state.kind !== 'opening') return stay(state);
  return { state: { kind: 'ready', openJob: state.openJob }, effects: [{ type: 'send', message: ready(jobId) }] };
}

function onOpenFailed(state: WorkerState, failure: Extract<WorkerInput, { type: 'open-failed' }>): WorkerStep {
  const { jobId, code, reason } = failure;
  if (!isIn(state, jobId)) return stay(state);
  const report: WorkerEffect = { type: 'send', message: { type: 'job.failed', jobId, ...limit({ code, reason }) } };
  return { state: { kind: 'free' }, effects: [report, ...leave(state)] };
}

function onGrant(state: WorkerState, lease: OfferedLease): WorkerStep {
  const { leaseId, jobId } = lease;
  if (!isIn(state, jobId)) {
    const why = { code: 'worker/job-not-open', reason: `job ${jobId} is not open here` };
    return stay(state, [{ type: 'send', message: { type: 'lease.failed', leaseId, ...why } }]);
  }
  const large = findOversized(state.openJob.job, lease);
  if (large) {
    const reason = `its ${large.what} has ${large.bytes} bytes, and at most ${large.most} fit this job`;
    return stay(state, [
      { type: 'send', message: { type: 'lease.failed', leaseId, code: 'worker/oversized', reason } },
    ]);
  }
  const held = heldLease(state);
  if (held?.leaseId === leaseId) {
    return stay(state, state.kind === 'finished' ? [{ type: 'commit', commit: state.commit }] : []);
  }
  // A new grant replaces the old lease.
  const { openJob } = state;
  return {
    state: { kind: 'training', openJob, lease, tried: { crashes: 0, ooms: 0 } },
    effects: [
      ...dropHeld(state),
      { type: 'train', job: openJob.job, lease, microBatch: openJob.microBatch, restart: false },
    ],
  };
}

function onTrained(state: WorkerState, commit: Commit): WorkerStep {
  if (state.kind !== 'training' || state.lease.leaseId !== commit.leaseId) return stay(state);
  const openJob = { ...state.openJob, failedLeases: 0 };
  return { state: { kind: 'finished', openJob, lease: state.lease, commit }, effects: [{ type: 'commit', commit }] };
}

function onRoundFailed(state: WorkerState, failure: Extract<WorkerInput, { type: 'round-failed' }>): WorkerStep {
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
 * A failed round is trained once more from its start. After running out of memory it is repeated unchanged at
 * first (another process may have held the memory), then with micro-batches of half the size, down to one.
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
): WorkerStep {
  const { leaseId } = failure;
  const openJob = { ...state.openJob, failedLeases: state.openJob.failedLeases + 1 };
  const report: WorkerEffect = { type: 'send', message: { type: 'lease.failed', leaseId, ...limit(failure) } };
  if (openJob.failedLeases < MAX_FAILED_LEASES) {
    return { state: { kind: 'ready', openJob }, effects: [report, { type: 'forget', leaseId }] };
  }
  const { jobId } = openJob.job;
  const parting: WorkerEffect = { type: 'send', message: { type: 'job.failed', jobId, ...limit(failure) } };
  return { state: { kind: 'free' }, effects: [report, parting, { type: 'forget', leaseId }, { type: 'close', jobId }] };
}

/** Drops a settled lease. A message about any other lease is late and changes nothing. */
function dropLease(state: WorkerState, leaseId: string): WorkerStep {
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

function stay(state: WorkerState, effects: WorkerEffect[] = []): WorkerStep {
  return { state, effects };
}

function ready(jobId: JobId): WorkerMessageIn {
  return { type: 'job.ready', jobId };
}

/** Cuts code and reason to the lengths the protocol allows. */
function limit(failure: { code: string; reason: string }): { code: string; reason: string } {
  return { code: failure.code.slice(0, 60), reason: failure.reason.slice(0, 500) };
}
