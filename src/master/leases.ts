/** Opens rounds: shares the available blocks out to the ready workers, and takes them back. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Address } from '../domain/ids';
import { planLate, planRound } from '../domain/lease-plan';
import { crashPoint } from '../lib/crash-point';
import type { MasterMessageIn } from '../protocol/link';
import type { JobContext } from './job-context';
import { allowedMs } from './lease-time';
import { auditingMembers, dismissMember, readyMembers } from './members';
import { type LiveLease, markAway, RoundState } from './round-state';
import { candidateOf, countLost, standingOf } from './standings';
import { noteBusy, noteFree } from './work-times';

type GrantMessage = Extract<MasterMessageIn, { type: 'lease.grant' }>;

/** How long workers have to reconnect with what they hold after this master was restarted. */
const RESTART_GRACE_MS = 20_000;

/**
 * Opens the next round: leases blocks to every ready worker by its speed. Undefined when no lease was
 * granted.
 */
export async function grantRound(job: JobContext): Promise<RoundState | undefined> {
  const { store, clock, logger } = job.deps;
  const plan = planFor(job, await store.ledger.available(job.jobId));
  if (plan.size === 0) return undefined;

  const latest = await store.rounds.latest(job.jobId);
  const number = latest ? (latest.state === 'folded' ? latest.round + 1 : latest.round) : 0;
  const theta = latest?.nextTheta ?? latest?.theta ?? job.plan.theta0;
  await store.rounds.open(job.jobId, number, theta);
  crashPoint('round.opened');
  const leaseMs = Math.max(...[...plan].map(([worker, blocks]) => allowedMs(job, worker, blocks)));
  const round = new RoundState(number, theta, clock.now() + leaseMs);
  job.openRound = round;
  const granted: StoredLease[] = [];
  for (const [worker, blocks] of plan) granted.push(...(await storeLease(job, round, worker, blocks)));
  await handOut(job, round, granted);
  job.live.round = number;
  logger.info('Round opened', { round: number, leases: round.leases.size, blocks: sumBlocks(round) });
  return round.leases.size > 0 ? round : undefined;
}

/** Plans for all that are ready; who is at an audit gets its part once it is free. */
function planFor(job: JobContext, available: number): ReadonlyMap<Address, number> {
  const { steps } = job.plan.params.round;
  const free = new Map(readyMembers(job).map((worker) => [worker, candidateOf(job, worker)]));
  const busy = auditingMembers(job).map((worker) => [worker, { ...candidateOf(job, worker), isBusy: true }] as const);
  const plan = planRound(new Map([...free, ...busy]), steps, available);
  return plan.size > 0 ? plan : planRound(free, steps, available);
}

/**
 * Gives workers that are free while the others are at a round, as after an audit, a part of it that ends when
 * theirs do, and not after the round closes without it, which would be a lost lease.
 */
export async function grantLate(job: JobContext, round: RoundState, closesAtMs: number): Promise<void> {
  const leases = [...round.leases.values()];
  const free = readyMembers(job).filter((worker) => !leases.some((lease) => lease.worker === worker));
  const untilCloseMs = closesAtMs - job.deps.clock.now();
  const leftMs = Math.min(untilCloseMs, Math.max(...leases.map((lease) => leftOf(job, lease))));
  if (leftMs <= 0) return;
  for (const worker of free) {
    const availableBlocks = await job.deps.store.ledger.available(job.jobId);
    const parts = leases.map(({ start, end }) => end - start);
    const about = { parts, leftMs, steps: job.plan.params.round.steps, availableBlocks };
    const blocks = planLate(candidateOf(job, worker), about);
    if (blocks === 0) continue;
    await handOut(job, round, await storeLease(job, round, worker, blocks));
    job.deps.logger.info('Lease added to the round', { round: round.round, worker, blocks });
  }
}

/** Milliseconds until a lease should be done; 0 where nothing is known, or nobody is at it. */
function leftOf(job: JobContext, { worker, state, start, end, grantedAtMs, awaySinceMs }: LiveLease): number {
  const speed = job.standings.has(worker) ? standingOf(job, worker).blocksPerSecond : undefined;
  if (state !== 'running' || awaySinceMs !== undefined || speed === undefined) return 0;
  return Math.max(0, grantedAtMs + (1000 * (end - start)) / speed - job.deps.clock.now());
}

/**
 * Resumes the round that was open when this master last ended, or when something was in its way. After a
 * restart its workers count as away until they reconnect.
 */
export async function resumeRound(job: JobContext): Promise<RoundState | undefined> {
  const { store, clock, blobs, logger } = job.deps;
  const latest = await store.rounds.latest(job.jobId);
  job.live.mergedBlocks = await store.ledger.merged(job.jobId);
  if (!latest || latest.state === 'folded') return undefined;
  if (job.openRound?.round === latest.round) return returnUnsent(job, job.openRound);
  const nowMs = clock.now();
  const round = new RoundState(latest.round, latest.theta, nowMs + job.settings.leaseMs);
  for (const row of await store.ledger.listLeases(job.jobId, latest.round)) {
    if (row.state !== 'leased' && row.state !== 'committed') continue;
    const lease: LiveLease = {
      leaseId: row.leaseId,
      worker: row.worker,
      start: row.start,
      end: row.end,
      grantedAtMs: row.grantedAtMs,
      shard: row.shard,
      state: 'running',
      wasAway: true,
      isResumed: true,
      // In the future, so that its worker gets the whole grace time to reconnect.
      awaySinceMs: nowMs + RESTART_GRACE_MS - job.settings.resumeMs,
    };
    round.add(lease);
    if (row.state === 'committed' && row.work && (await blobs.stat(row.work.update.sha256))) {
      lease.sound = row.work.update.sha256;
      round.markReady(lease, row.work, nowMs);
    }
  }
  job.live.round = latest.round;
  logger.info('Round resumed', { round: latest.round, leases: round.leases.size, ready: round.ready().length });
  return round.leases.size > 0 ? round : undefined;
}

/** Takes back what was leased, but never handed out, when something was in the way. */
async function returnUnsent(job: JobContext, round: RoundState): Promise<RoundState | undefined> {
  const { ledger } = job.deps.store;
  for (const { leaseId, state } of await ledger.listLeases(job.jobId, round.round)) {
    const isOpen = state === 'leased' || state === 'committed';
    if (isOpen && !round.leases.has(leaseId)) await ledger.release(leaseId, 'it was never handed out');
  }
  return round.leases.size > 0 ? round : undefined;
}

/** Returns a lease that its worker made nothing of, and counts that. */
export async function loseLease(job: JobContext, lease: LiveLease, reason: string): Promise<void> {
  await returnLease(job, lease, reason);
  if (!lease.isResumed) await countLoss(job, lease.worker, reason);
}

/**
 * Counts a lost lease; a worker that loses too many is taken off the job, but not the last one: a bad worker
 * may still bring the job to its end, none cannot.
 */
export async function countLoss(job: JobContext, worker: Address, reason: string): Promise<void> {
  if (!(await countLost(job, worker)) || job.dismissed.has(worker) || !hasOthers(job, worker)) return;
  const why = `too many of its leases were lost, the last because ${reason}`;
  job.deps.logger.warn('Worker is taken off the job', { worker, reason: why });
  dismissMember(job, worker, why);
}

function hasOthers(job: JobContext, worker: Address): boolean {
  return [...job.members].some(([other, state]) => other !== worker && state === 'ready' && job.deps.fleet.peer(other));
}

/** Makes a lease's blocks available again, and revokes it from its worker. */
export async function returnLease(job: JobContext, lease: LiveLease, reason: string): Promise<void> {
  lease.state = 'lost';
  noteFree(job, lease.worker, job.deps.clock.now());
  await job.deps.store.ledger.release(lease.leaseId, reason);
  job.deps.fleet.send(lease.worker, { type: 'lease.revoke', leaseId: lease.leaseId, reason });
  job.deps.logger.info('Lease returned', { leaseId: lease.leaseId, worker: lease.worker, reason });
}

type StoredLease = Pick<LiveLease, 'leaseId' | 'worker' | 'start' | 'end'>;

/** Takes blocks from the ledger; none when none are left. */
async function storeLease(job: JobContext, round: RoundState, worker: Address, blocks: number): Promise<StoredLease[]> {
  const { store, fleet } = job.deps;
  const leaseId = `${round.round}-${randomBytes(8).toString('hex')}`;
  const range = await store.ledger.grant({
    leaseId,
    jobId: job.jobId,
    round: round.round,
    worker,
    deviceKind: fleet.peer(worker)?.offer.devices[0]?.kind,
    blocks,
    expiresAtMs: round.deadlineMs,
  });
  if (!range) return [];
  crashPoint('lease.stored');
  return [{ leaseId, worker, ...range }];
}

/**
 * Cuts the shards of a round's leases and sends each off as soon as it is there: while one waits for the
 * disk, the next is cut. Throws what went wrong first, when all others are out.
 */
async function handOut(job: JobContext, round: RoundState, granted: readonly StoredLease[]): Promise<void> {
  const theta = { sha256: round.theta, bytes: (await job.deps.blobs.stat(round.theta))?.bytes ?? 0 };
  const weights = { theta, ...(await deltaOf(job, round.round)) };
  const sent = await Promise.allSettled(granted.map((lease) => sendLease(job, round, lease, weights)));
  for (const outcome of sent) if (outcome.status === 'fulfilled') round.add(outcome.value);
  for (const _ of round.leases) crashPoint('lease.granted');
  for (const outcome of sent) if (outcome.status === 'rejected') throw outcome.reason;
}

async function sendLease(
  job: JobContext,
  round: RoundState,
  stored: StoredLease,
  weights: Pick<GrantMessage, 'theta' | 'delta'>,
): Promise<LiveLease> {
  const { store, blobs, fleet, clock } = job.deps;
  const { leaseId, worker, start, end } = stored;
  const out = join(job.dir, `shard-${leaseId}.safetensors`);
  const { shard } = await job.coordinator.run({ type: 'cut', start, end, out }, 'cut');
  await blobs.add(shard.path, { move: true });
  crashPoint('shard.cut');
  await store.ledger.setShard(leaseId, shard.sha256);

  const grantedAtMs = clock.now();
  const sentBefore = fleet.peer(worker)?.traffic.sent.bytes;
  const lease: LiveLease = { ...stored, grantedAtMs, sentBefore, shard: shard.sha256, state: 'running' };
  if (!fleet.peer(worker)) markAway(lease, grantedAtMs);
  noteBusy(job, worker, grantedAtMs);
  fleet.send(worker, {
    type: 'lease.grant',
    jobId: job.jobId,
    leaseId,
    round: round.round,
    start,
    end,
    shard: { sha256: shard.sha256, bytes: shard.bytes },
    ...weights,
    deadlineMs: Math.max(1, round.deadlineMs - grantedAtMs),
  });
  return lease;
}

/** Returns the step from the round before, for workers that still hold its weights. */
async function deltaOf(job: JobContext, round: number) {
  const before = round > 0 ? await job.deps.store.rounds.find(job.jobId, round - 1) : undefined;
  if (!before?.delta) return {};
  const bytes = (await job.deps.blobs.stat(before.delta))?.bytes;
  if (bytes === undefined) return {};
  return { delta: { base: before.theta, blob: { sha256: before.delta, bytes } } };
}

function sumBlocks(round: RoundState): number {
  return [...round.leases.values()].reduce((sum, lease) => sum + lease.end - lease.start, 0);
}
