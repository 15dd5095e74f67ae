/** Audits beside the rounds: gives drawn leases to other workers, or to the master's own child. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { chooseAuditor, findingOf } from '../domain/audit';
import type { Address, Sha256 } from '../domain/ids';
import { redoLease } from '../replay/redo';
import type { AuditRow, DrawnLeaseRow } from '../store/audits';
import { exclude, type RunningAudit } from './audit-state';
import type { JobContext } from './job-context';
import { allowedMs } from './lease-time';
import { countLoss } from './leases';
import { isExpected, readyMembers } from './members';
import { noteBusy, noteFree } from './work-times';

/** The part of the time that the master's own child may spend on audits while rounds go on. */
const OWN_PART = 0.1;

/**
 * Gives every audit that nobody is doing to somebody, but leaves at least `spare` ready workers to the round.
 * Where the audited worker has no peer, the master's own child does it.
 */
export async function assignAudits(job: JobContext, spare: number): Promise<void> {
  const { store } = job.deps;
  const audits = await store.audits.list(job.jobId);
  for (const lease of await findOpenAudits(job, audits)) {
    if (isUnderWay(job, lease.leaseId)) continue;
    const earlier = audits.filter(({ leaseId }) => leaseId === lease.leaseId);
    const able = (worker: Address) => isAble(job, lease, earlier, worker);
    const free = readyMembers(job);
    const candidates = free.filter(able);
    const hasPeer = [...job.members.keys()].some((worker) => able(worker) && isExpected(job, worker));
    if (!hasPeer || isForOwnChild(job, lease.leaseId, earlier)) redoOwn(job, lease, spare > 0);
    else if (candidates.length > 0 && free.length > spare) await grantAudit(job, lease, candidates, audits);
  }
}

/** Lists the drawn leases about which there is no finding yet. */
export async function findOpenAudits(job: JobContext, audits?: readonly AuditRow[]): Promise<DrawnLeaseRow[]> {
  const { store, wallet } = job.deps;
  const all = audits ?? (await store.audits.list(job.jobId));
  const drawn = await store.audits.drawn(job.jobId);
  const ofLease = (leaseId: string) => all.filter((audit) => audit.leaseId === leaseId);
  return drawn.filter(({ leaseId }) => findingOf(ofLease(leaseId), wallet.address) === 'undecided');
}

/** Ends the audits whose time is over, which counts as a lost lease; others do them. */
export async function expireAudits(job: JobContext): Promise<void> {
  const nowMs = job.deps.clock.now();
  for (const audit of [...job.audits.running.values()]) {
    if (nowMs < audit.deadlineMs || audit.isCollecting) continue;
    dropAudit(job, audit, 'its time is over');
    await countLoss(job, audit.auditor, 'the time of an audit was over');
  }
}

/** Milliseconds until the next audit's time is over. */
export function nextExpiryMs(job: JobContext): number {
  const nowMs = job.deps.clock.now();
  const waiting = [...job.audits.running.values()].filter(({ isCollecting }) => !isCollecting);
  return Math.max(0, Math.min(...waiting.map(({ deadlineMs }) => deadlineMs - nowMs)));
}

/** Takes an audit from its auditor, who is not asked about this lease again. */
export function dropAudit(job: JobContext, { lease, leaseId, auditor }: RunningAudit, reason: string): void {
  job.audits.running.delete(leaseId);
  noteFree(job, auditor, job.deps.clock.now());
  exclude(job.audits, lease.leaseId, auditor);
  job.deps.fleet.send(auditor, { type: 'lease.revoke', leaseId, reason });
  job.deps.logger.info('Audit returned', { auditor, round: lease.round, start: lease.start, reason });
}

function isUnderWay({ audits }: JobContext, leaseId: string): boolean {
  return audits.own === leaseId || [...audits.running.values()].some(({ lease }) => lease.leaseId === leaseId);
}

/**
 * Where two differ the own child decides: of three workers, two could be keys of one owner. Only if it cannot
 * do the lease, a third worker does.
 */
function isForOwnChild({ audits, deps }: JobContext, leaseId: string, earlier: readonly AuditRow[]): boolean {
  const hasFailed = audits.excluded.get(leaseId)?.has(deps.wallet.address);
  return !hasFailed && (earlier.length > 0 || audits.disputed.has(leaseId));
}

/** Nobody does a lease again that it did before, or said it could not do. */
function isAble(job: JobContext, lease: DrawnLeaseRow, earlier: readonly AuditRow[], worker: Address): boolean {
  return (
    worker !== lease.worker &&
    !job.audits.excluded.get(lease.leaseId)?.has(worker) &&
    earlier.every(({ auditor }) => auditor !== worker)
  );
}

async function grantAudit(
  job: JobContext,
  lease: DrawnLeaseRow,
  able: readonly Address[],
  audits: readonly AuditRow[],
): Promise<void> {
  const { fleet, blobs, store, clock, logger } = job.deps;
  const candidates = able.map((address) => ({
    address,
    ip: fleet.peer(address)?.ip,
    audits: audits.filter(({ auditor }) => auditor === address).length,
  }));
  const auditor = chooseAuditor(candidates, fleet.peer(lease.worker)?.ip);
  const round = await store.rounds.find(job.jobId, lease.round);
  if (!auditor || !round) return;
  const [theta, shard] = await Promise.all([blobs.stat(round.theta), blobs.stat(lease.shard)]);
  const leaseId = `audit-${lease.round}-${randomBytes(8).toString('hex')}`;
  const deadlineMs = allowedMs(job, auditor, lease.end - lease.start);
  job.audits.running.set(leaseId, {
    lease,
    auditor,
    leaseId,
    deadlineMs: clock.now() + deadlineMs,
    isCollecting: false,
  });
  noteBusy(job, auditor, clock.now());
  fleet.send(auditor, {
    type: 'lease.grant',
    jobId: job.jobId,
    leaseId,
    round: lease.round,
    start: lease.start,
    end: lease.end,
    shard: { sha256: lease.shard, bytes: shard?.bytes ?? 1 },
    theta: { sha256: round.theta, bytes: theta?.bytes ?? 1 },
    deadlineMs,
  });
  logger.info('Audit begun', { auditor, worker: lease.worker, round: lease.round, start: lease.start });
}

/** One at a time, and while rounds go on only as far as its part of the time allows. */
function redoOwn(job: JobContext, lease: DrawnLeaseRow, isLimited: boolean): void {
  const { audits, live, ownChild } = job;
  const { clock, wallet, logger } = job.deps;
  const startedAtMs = clock.now();
  const isAllowed = audits.ownMs <= OWN_PART * (startedAtMs - live.startedAtMs);
  const hasFailed = audits.excluded.get(lease.leaseId)?.has(wallet.address);
  if (audits.own !== undefined || hasFailed || (isLimited && !isAllowed)) return;
  audits.own = lease.leaseId;
  logger.info('Audit begun by the own child', { worker: lease.worker, round: lease.round, start: lease.start });
  void redo(job, lease).then(
    (found) => job.mailbox.push({ type: 'redone', lease, startedAtMs, ...found }),
    (error: unknown) => {
      if (job.signal.aborted || ownChild.isClosed) return;
      logger.warn('Own child could not do a lease again', { leaseId: lease.leaseId }, error);
      job.mailbox.push({ type: 'redone', lease, startedAtMs });
    },
  );
}

async function redo(job: JobContext, lease: DrawnLeaseRow): Promise<{ update: Sha256; distance: number }> {
  const { blobs, store } = job.deps;
  const round = await store.rounds.find(job.jobId, lease.round);
  if (!round) throw new Error(`Round ${lease.round} of the audited lease ${lease.leaseId} is gone`);
  const { update, distance } = await job.ownChild.use((trainer) =>
    redoLease(
      {
        round: lease.round,
        start: lease.start,
        shard: blobs.path(lease.shard),
        theta: { path: blobs.path(round.theta), sha256: round.theta },
        update: { path: blobs.path(lease.update), sha256: lease.update },
      },
      { out: join(job.dir, `audit-${lease.leaseId}.safetensors`), trainer, coordinator: job.coordinator },
    ),
  );
  await blobs.add(update.path, { move: true });
  return { update: update.sha256, distance };
}

/** ‖update − redone‖ ÷ ‖redone‖ of the decoded files; equal files need no look. */
export async function distanceOf(job: JobContext, update: Sha256, redone: Sha256): Promise<number> {
  if (update === redone) return 0;
  const { blobs } = job.deps;
  const files = { update: blobs.path(update), expected: blobs.path(redone) };
  return (await job.coordinator.run({ type: 'compare', ...files }, 'compared')).distance;
}
