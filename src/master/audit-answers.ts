/** What auditors answer: their updates are compared with the merged ones, and who stands alone has to go. */
import { reportAudits, toleranceOf } from '../domain/audit';
import type { Address, Sha256 } from '../domain/ids';
import { describeError, errorCode } from '../lib/errors';
import type { WorkerMessage } from '../protocol/link';
import type { AuditRow, DrawnLeaseRow } from '../store/audits';
import { exclude, type RunningAudit } from './audit-state';
import { distanceOf, dropAudit } from './audits';
import { fetchUpdate, refuseCommit } from './fetch-update';
import type { JobContext } from './job-context';
import type { AuditAnswer, JobEvent } from './job-events';
import { returnLease } from './leases';
import { dismissMember } from './members';
import type { RoundState } from './round-state';
import { noteAudited } from './standings';
import { strike } from './strikes';

type Commit = Extract<WorkerMessage, { type: 'lease.commit' }>;

/** Takes a commit of an audit; false when it belongs to no audit under way. */
export function onAuditCommit(job: JobContext, worker: Address, commit: Commit): boolean {
  const audit = job.audits.running.get(commit.leaseId);
  if (audit?.auditor !== worker) return false;
  if (audit.isCollecting) return true; // the first commit's transfer is still under way
  audit.isCollecting = true;
  const { leaseId } = commit;
  void compareCommit(job, audit, commit)
    .catch((error: unknown): AuditAnswer | undefined => {
      if (job.signal.aborted) return undefined;
      job.deps.logger.warn('Audit did not arrive', { leaseId, worker }, error);
      if (errorCode(error).startsWith('link/')) return { kind: 'cut' };
      return { kind: 'unsound', reason: describeError(error), isFault: errorCode(error) === 'blobs/hash-mismatch' };
    })
    .then((answer) => answer && job.mailbox.push({ type: 'audited', leaseId, answer }));
  return true;
}

/** Takes an audit back that its auditor could not do; false when it had none of that id. */
export function onAuditFailed(job: JobContext, worker: Address, leaseId: string, reason: string): boolean {
  const audit = job.audits.running.get(leaseId);
  if (audit?.auditor !== worker) return false;
  dropAudit(job, audit, reason);
  return true;
}

/** Takes back what a worker audited and no longer holds. */
export function dropAuditsOf(job: JobContext, worker: Address, reason: string, heldLeaseId?: string): void {
  for (const audit of job.audits.running.values()) {
    if (audit.auditor === worker && audit.leaseId !== heldLeaseId) dropAudit(job, audit, reason);
  }
}

/** An auditor's update was compared, or could not be. */
export async function onAudited(
  job: JobContext,
  round: RoundState | undefined,
  { leaseId, answer }: Extract<JobEvent, { type: 'audited' }>,
): Promise<void> {
  const audit = job.audits.running.get(leaseId);
  if (!audit) return;
  const { lease, auditor } = audit;
  const { fleet } = job.deps;
  switch (answer.kind) {
    case 'cut': // it reconnects and commits again
      audit.isCollecting = false;
      return;
    case 'unsound':
      fleet.send(auditor, { type: 'update.verdict', leaseId, accepted: false, reason: answer.reason });
      dropAudit(job, audit, answer.reason);
      if (answer.isFault) await strike(job, auditor, answer.reason);
      return;
    case 'compared':
      job.audits.running.delete(leaseId);
      fleet.send(auditor, { type: 'update.verdict', leaseId, accepted: true });
      return conclude(job, round, lease, { auditor, ...answer });
  }
}

/** The own child did a lease again, or failed to. */
export async function onRedone(
  job: JobContext,
  round: RoundState | undefined,
  { lease, startedAtMs, update, distance }: Extract<JobEvent, { type: 'redone' }>,
): Promise<void> {
  const { audits } = job;
  const { clock, wallet } = job.deps;
  audits.own = undefined;
  audits.ownMs += clock.now() - startedAtMs;
  if (update === undefined || distance === undefined) return exclude(audits, lease.leaseId, wallet.address);
  await conclude(job, round, lease, { auditor: wallet.address, update, distance });
}

/** Equal hashes end it at once: nothing has to be fetched. */
async function compareCommit(job: JobContext, { lease, auditor }: RunningAudit, commit: Commit): Promise<AuditAnswer> {
  const { sha256 } = commit.update;
  const unfit = refuseCommit(job, lease, commit);
  if (unfit !== undefined) return unsound(unfit);
  if (sha256 === lease.update) return { kind: 'compared', update: sha256, distance: 0 };
  await fetchUpdate(job, auditor, commit.update);
  const update = job.deps.blobs.path(sha256);
  const seen = await job.coordinator.run({ type: 'inspect', update }, 'inspected');
  if (!seen.ok) return unsound(seen.reason ?? 'its update is not one of this model');
  return { kind: 'compared', update: sha256, distance: await distanceOf(job, lease.update, sha256) };
}

function unsound(reason: string): AuditAnswer {
  return { kind: 'unsound', reason, isFault: true };
}

/**
 * Records what was found. Two that differ from the worker and from each other do not refute it: then the own
 * child has the last word.
 */
async function conclude(
  job: JobContext,
  round: RoundState | undefined,
  lease: DrawnLeaseRow,
  found: { auditor: Address; update: Sha256; distance: number },
): Promise<void> {
  const { store, logger } = job.deps;
  const { auditor, update, distance } = found;
  const isEqual = distance <= tolerance(job, [lease.worker, auditor]);
  const earlier = (await store.audits.list(job.jobId)).filter(({ leaseId }) => leaseId === lease.leaseId);
  if (!isEqual && !(await isConfirmedBy(job, found, earlier))) {
    job.audits.disputed.add(lease.leaseId);
    return exclude(job.audits, lease.leaseId, auditor);
  }
  const { leaseId, start } = lease;
  const tokens = (lease.end - lease.start) * job.plan.prepared.blockTokens;
  const outcome = isEqual ? 'equal' : 'different';
  await store.audits.record(job.jobId, {
    leaseId,
    round: lease.round,
    start,
    auditor,
    update,
    tokens,
    distance,
    outcome,
  });
  if (auditor !== job.deps.wallet.address) job.audits.unreported.add(auditor);
  logger.info('Audit done', { worker: lease.worker, auditor, round: lease.round, start, distance, outcome });
  if (isEqual) noteAudited(job, lease.worker);
  await dismissDiscredited(job, round);
}

/** True when nobody but the worker has answered yet, or the earlier auditor found the same. */
async function isConfirmedBy(
  job: JobContext,
  { auditor, update }: { auditor: Address; update: Sha256 },
  earlier: readonly AuditRow[],
): Promise<boolean> {
  const [first] = earlier;
  if (!first || auditor === job.deps.wallet.address) return true;
  return (await distanceOf(job, update, first.update)) <= tolerance(job, [first.auditor, auditor]);
}

function tolerance(job: JobContext, workers: readonly Address[]): number {
  const kinds = workers.flatMap((worker) => {
    if (worker === job.deps.wallet.address) return [job.ownChild.deviceKind];
    return job.deps.fleet.peer(worker)?.offer.devices.map(({ kind }) => kind) ?? [undefined];
  });
  return toleranceOf(job.plan.params, kinds);
}

/** Takes everybody off the job who stood alone with what it found, also after a restart. */
export async function dismissDiscredited(job: JobContext, round: RoundState | undefined): Promise<void> {
  const { store, wallet, logger } = job.deps;
  const [leases, audits] = await Promise.all([store.audits.merged(job.jobId), store.audits.list(job.jobId)]);
  for (const worker of reportAudits(leases, audits, wallet.address).discredited) {
    if (worker === wallet.address || job.dismissed.has(worker)) continue;
    const reason = 'an audit found other work than it had sent';
    await store.workers.addStrike(worker, reason);
    logger.warn('Worker is taken off the job', { worker, reason });
    dropAuditsOf(job, worker, reason);
    const own = [...(round?.leases.values() ?? [])].filter(
      (lease) => lease.worker === worker && lease.state !== 'lost',
    );
    for (const lease of own) await returnLease(job, lease, reason);
    dismissMember(job, worker, reason);
  }
}
