/** What an event does to the open round: workers join, leave and commit; their updates pass the gate. */
import type { Address } from '../domain/ids';
import { crashPoint } from '../lib/crash-point';
import { describeError, errorCode, never } from '../lib/errors';
import type { WorkerMessage } from '../protocol/link';
import { dropAuditsOf, onAuditCommit, onAudited, onAuditFailed, onRedone } from './audit-answers';
import { onChecked } from './fold-check';
import type { JobContext } from './job-context';
import type { JobEvent, UpdateVerdict } from './job-events';
import { countLoss, loseLease, returnLease } from './leases';
import { dismissMember, missingMemory, openMember } from './members';
import { type LiveLease, markAway, type RoundState } from './round-state';
import { countAccepted, measureSeconds } from './standings';
import { strike } from './strikes';
import { judgeUpdate } from './update-gate';
import { noteFree, noteJoined } from './work-times';

type Commit = Extract<WorkerMessage, { type: 'lease.commit' }>;

/** Applies one event to the job and, where there is one, to its open round. */
export async function handleEvent(job: JobContext, round: RoundState | undefined, event: JobEvent): Promise<void> {
  switch (event.type) {
    case 'join':
      return onJoin(job, round, event);
    case 'away':
      return onAway(job, round, event.worker);
    case 'expelled':
      return onExpelled(job, round, event.worker);
    case 'message':
      return onMessage(job, round, event);
    case 'collected':
      return onCollected(job, round, event);
    case 'audited':
      return onAudited(job, round, event);
    case 'redone':
      return onRedone(job, round, event);
    case 'checked':
      return onChecked(job, event);
    default:
      never(event);
  }
}

/** A worker joined or reconnected. A lease it no longer holds goes to others at once. */
async function onJoin(
  job: JobContext,
  round: RoundState | undefined,
  { worker, held }: Extract<JobEvent, { type: 'join' }>,
): Promise<void> {
  const lackingBytes = missingMemory(job, worker);
  if (lackingBytes > 0) return dismissMember(job, worker, `its device is ${lackingBytes} bytes too small for the job`);
  await openMember(job, worker);
  dropAuditsOf(job, worker, 'the auditor reconnected without it', held?.leaseId);
  if (held && job.audits.running.has(held.leaseId)) return;
  const lease = round?.openLeaseOf(worker);
  if (lease && held?.leaseId === lease.leaseId) {
    lease.awaySinceMs = undefined;
    lease.isResumed = undefined;
    lease.state = 'running';
  } else if (lease) {
    await loseLease(job, lease, 'the worker reconnected without it');
  }
  if (held && held.leaseId !== lease?.leaseId) {
    job.deps.fleet.send(worker, { type: 'lease.revoke', leaseId: held.leaseId, reason: 'its round is closed' });
  }
}

function onAway(job: JobContext, round: RoundState | undefined, worker: Address): void {
  const lease = round?.openLeaseOf(worker);
  if (lease) markAway(lease, job.deps.clock.now());
}

async function onExpelled(job: JobContext, round: RoundState | undefined, worker: Address): Promise<void> {
  job.members.delete(worker);
  dropAuditsOf(job, worker, 'the auditor was disconnected by the operator');
  const lease = round?.openLeaseOf(worker);
  if (lease) await returnLease(job, lease, 'the worker was disconnected by the operator');
}

async function onMessage(
  job: JobContext,
  round: RoundState | undefined,
  { worker, message, atMs }: Extract<JobEvent, { type: 'message' }>,
): Promise<void> {
  switch (message.type) {
    case 'job.ready':
      if (message.jobId !== job.jobId) return;
      job.members.set(worker, 'ready');
      return noteJoined(job, worker, atMs);
    case 'job.failed':
      job.deps.logger.warn('Worker cannot do this job', { worker, code: message.code, reason: message.reason });
      return dismissMember(job, worker, message.reason);
    case 'lease.commit':
      noteFree(job, worker, atMs, message.seconds);
      if (onAuditCommit(job, worker, message)) return;
      return onCommit(job, round, worker, message, atMs);
    case 'lease.failed': {
      if (onAuditFailed(job, worker, message.leaseId, message.reason)) return;
      const lease = round?.leases.get(message.leaseId);
      if (lease?.worker === worker && lease.state !== 'ready') await loseLease(job, lease, message.reason);
      return;
    }
    default: // progress is shown by the fleet; the link itself handles the rest
  }
}

function onCommit(job: JobContext, round: RoundState | undefined, worker: Address, commit: Commit, atMs: number): void {
  const lease = round?.leases.get(commit.leaseId);
  if (!round || !lease || lease.worker !== worker || lease.state === 'lost') {
    return sendVerdict(job, worker, commit.leaseId, 'the round of this lease is closed');
  }
  if (lease.state === 'ready') return sendVerdict(job, worker, commit.leaseId);
  if (lease.state === 'collecting') return; // the first commit's transfer is still under way
  lease.state = 'collecting';
  lease.seconds ??= measureSeconds(job, lease, atMs);
  const number = (lease.commits ?? 0) + 1;
  lease.commits = number;
  const { leaseId } = lease;
  void judgeUpdate(job, round, lease, commit)
    .catch((error) => onCollectFailed(job, lease, number, error))
    .then((verdict) => verdict && job.mailbox.push({ type: 'collected', leaseId, commit: number, verdict }));
}

/**
 * A connection cut in mid-transfer is not the worker's fault and gets no verdict: the worker reconnects and
 * commits again.
 */
function onCollectFailed(job: JobContext, lease: LiveLease, commit: number, error: unknown): UpdateVerdict | undefined {
  if (job.signal.aborted || !isCollecting(lease, commit)) return undefined;
  const isCut = errorCode(error).startsWith('link/');
  job.deps.logger.warn('Update did not arrive', { leaseId: lease.leaseId, worker: lease.worker }, error);
  if (isCut) {
    lease.state = 'running';
    if (!job.deps.fleet.peer(lease.worker)) markAway(lease, job.deps.clock.now());
    return undefined;
  }
  return { accepted: false, reason: describeError(error), isFault: errorCode(error) === 'blobs/hash-mismatch' };
}

/**
 * False when the lease was lost meanwhile, or committed again: the outcome of an old commit must not settle
 * it.
 */
function isCollecting(lease: LiveLease, commit: number): boolean {
  return lease.state === 'collecting' && lease.commits === commit;
}

async function onCollected(
  job: JobContext,
  round: RoundState | undefined,
  { leaseId, commit, verdict }: Extract<JobEvent, { type: 'collected' }>,
): Promise<void> {
  const lease = round?.leases.get(leaseId);
  if (!round || !lease || !isCollecting(lease, commit)) return;
  if (verdict.accepted) {
    round.markReady(lease, verdict.work, job.deps.clock.now());
    await countAccepted(job, lease);
    sendVerdict(job, lease.worker, leaseId);
    return crashPoint('verdict.sent');
  }
  sendVerdict(job, lease.worker, leaseId, verdict.reason);
  await returnLease(job, lease, verdict.reason);
  // What this master could not do is not the worker's loss.
  if (!verdict.isFault) return;
  await strike(job, lease.worker, verdict.reason);
  await countLoss(job, lease.worker, verdict.reason);
}

function sendVerdict(job: JobContext, worker: Address, leaseId: string, reason?: string): void {
  const accepted = reason === undefined;
  job.deps.fleet.send(worker, { type: 'update.verdict', leaseId, accepted, ...(accepted ? {} : { reason }) });
}
