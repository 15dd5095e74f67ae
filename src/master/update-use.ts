/** What updates are good for: by how much each lowers the loss on its own data, beside others. */
import { randomInt } from 'node:crypto';
import { smoothSpeed } from '../domain/standing';
import { judgeUse, marginOf } from '../domain/update-rules';
import type { TrainerEvent } from '../protocol/trainer';
import type { JobContext } from './job-context';
import type { LiveLease, RoundState } from './round-state';

const LITTLE_USE = 'its update does not lower the loss on its own data as others do';
/** Sequences of its own lease on which an update must lower the loss. */
const GAIN_SEQUENCES = 4;
/** This master's time for one look at an update: where it takes longer, updates are drawn for it. */
const LOOK_MS = 2000;

/** True as often as this master's time allows looks that take so long. */
export function hasTimeToLook(lookMs: number): boolean {
  return randomInt(1e6) < (1e6 * LOOK_MS) / Math.max(LOOK_MS, lookMs);
}

/**
 * True for a worker whose work came out the same when others did it again. Training is deterministic: what
 * little use its update seems to be may be the fault of the data, and another worker would bring the same.
 */
export function isKnownHonest({ standings }: JobContext, { worker }: LiveLease): boolean {
  return standings.get(worker)?.isAudited === true;
}

/** Returns the question for an update's gain; none where the data of its lease are gone. */
export async function askGain({ deps: { blobs } }: JobContext, round: RoundState, { shard }: LiveLease) {
  if (!shard || !(await blobs.stat(shard))) return undefined;
  return { theta: blobs.path(round.theta), shard: blobs.path(shard), sequences: GAIN_SEQUENCES };
}

/** Judges a worker's work by the gain that was measured now, and those before it. */
export function judgeGain({ gate }: JobContext, round: RoundState, lease: LiveLease, gain: number) {
  const margin = marginOf(gain, othersGains(round, lease));
  const margins = [...(gate.margins.get(lease.worker) ?? []), margin];
  gate.margins.set(lease.worker, margins);
  return judgeUse(margins, gate.acceptedGains);
}

export function doubtUse(job: JobContext, lease: LiveLease): void {
  markDoubtful(job, lease, LITTLE_USE);
}

/** Notes the gain of an update that is merged. One that came first is measured against those after it. */
export function acceptGain(job: JobContext, round: RoundState, lease: LiveLease, gain: number): void {
  job.gate.acceptedGains.push(gain);
  lease.gain = gain;
  for (const other of round.leases.values()) {
    if (other.gain === undefined || other.mustAudit) continue;
    if (marginOf(other.gain, othersGains(round, other)) <= 0) doubtUse(job, other);
  }
}

/** An update that passes, but has to be done again by somebody else. */
export function markDoubtful(job: JobContext, lease: LiveLease, reason: string): void {
  lease.mustAudit = true;
  job.deps.logger.warn('Update is doubtful', { leaseId: lease.leaseId, worker: lease.worker, reason });
}

/**
 * Looks at what the gate left for later, once the round is folded and nobody waits for it: whatever comes out
 * can only have a lease done again.
 */
export async function lookLater(job: JobContext, round: RoundState): Promise<void> {
  for (const lease of round.ready()) {
    if (!lease.isForLater || !hasTimeToLook(job.gate.gainMs)) continue;
    const gain = await measureGain(job, round, lease);
    if (gain === undefined) continue;
    if (judgeGain(job, round, lease, gain) !== 'useful') doubtUse(job, lease);
    acceptGain(job, round, lease, gain);
  }
}

/** Lists the merged leases of a round that must be done again. */
export function listDoubtful(round: RoundState): string[] {
  return round.ready().flatMap(({ leaseId, mustAudit }) => (mustAudit ? [leaseId] : []));
}

async function measureGain(job: JobContext, round: RoundState, lease: LiveLease): Promise<number | undefined> {
  const { clock, blobs } = job.deps;
  const gain = await askGain(job, round, lease);
  if (!gain || !lease.sound) return undefined;
  const startedMs = clock.now();
  const question = { type: 'inspect' as const, update: blobs.path(lease.sound), gain };
  const seen: Extract<TrainerEvent, { type: 'inspected' }> = await job.coordinator.run(question, 'inspected');
  job.gate.gainMs = smoothSpeed(job.gate.gainMs, clock.now() - startedMs);
  return seen.gain;
}

function othersGains(round: RoundState, lease: LiveLease): number[] {
  return [...round.leases.values()].flatMap((other) => (other === lease ? [] : (other.gain ?? [])));
}
