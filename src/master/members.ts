/** The workers of a job and whether they are ready for a lease. */
import { hashSeed } from '../domain/audit';
import type { Address } from '../domain/ids';
import { neededBytesOf } from '../domain/job-fit';
import { byAddress } from '../domain/order';
import { isAuditing } from './audit-state';
import type { JobContext } from './job-context';
import { sizeOfPlan } from './plan';
import { readStanding } from './standings';

/** Getting ready takes longer only where a base has to arrive first: nobody waits for such a worker. */
const SOON_MS = 60_000;

/**
 * Asks the worker to get ready for the job; it answers `job.ready`. Asking a ready worker again changes
 * nothing.
 */
export async function openMember(job: JobContext, worker: Address): Promise<void> {
  if (!job.standings.has(worker)) job.standings.set(worker, await readStanding(job, worker));
  const { params, prepared, totalBlocks, auditSeed } = job.plan;
  const base = await offeredBase(job);
  if (job.members.get(worker) !== 'opening') job.openingSinceMs.set(worker, job.deps.clock.now());
  job.members.set(worker, 'opening');
  job.deps.fleet.send(worker, {
    type: 'job.open',
    jobId: job.jobId,
    params,
    ...(base ? { base } : {}),
    vocabSize: prepared.vocabSize,
    totalBlocks,
    auditSeedHash: hashSeed(auditSeed),
  });
}

async function offeredBase({ plan: { base }, deps }: JobContext) {
  if (!base) return undefined;
  const found = await deps.blobs.stat(base.list);
  if (!found) throw new Error(`The file list ${base.list} of the job's base is not among the blobs any more`);
  return { ...base, listBytes: found.bytes };
}

/** Returns how many bytes a worker's smallest device lacks for its part of the job; 0 where it fits. */
export function missingMemory({ deps, plan }: JobContext, worker: Address): number {
  const room = deps.fleet.capacityOf(worker) ?? { memoryBytes: 0, devices: 1 };
  return Math.max(0, neededBytesOf(sizeOfPlan(plan), room) - room.memoryBytes);
}

/** Takes a worker off the job, which it is not given again. */
export function dismissMember(job: JobContext, worker: Address, reason: string): void {
  job.members.delete(worker);
  job.dismissed.set(worker, reason);
  job.deps.fleet.dismiss(worker, reason);
}

/** Lists the members that can take a lease now, so that are not at an audit, in address order. */
export function readyMembers(job: JobContext): Address[] {
  return [...job.members]
    .filter(([worker, state]) => state === 'ready' && !isAuditing(job.audits, worker) && job.deps.fleet.peer(worker))
    .map(([worker]) => worker)
    .sort(byAddress);
}

/** Lists the members that are at an audit. */
export function auditingMembers(job: JobContext): Address[] {
  return [...job.members.keys()].filter((worker) => isAuditing(job.audits, worker) && job.deps.fleet.peer(worker));
}

/** Counts the connected members that are ready, and those that soon will be. */
export function countMembers(job: JobContext): { ready: number; opening: number } {
  const expected = [...job.members.keys()].filter((worker) => isExpected(job, worker));
  const ready = expected.filter((worker) => job.members.get(worker) === 'ready').length;
  return { ready, opening: expected.length - ready };
}

/** True for a connected member that is ready, or soon will be. */
export function isExpected(job: JobContext, worker: Address): boolean {
  const sinceMs = job.openingSinceMs.get(worker) ?? Number.NEGATIVE_INFINITY;
  const isSoonReady = job.members.get(worker) === 'opening' && job.deps.clock.now() - sinceMs < SOON_MS;
  return (isSoonReady || job.members.get(worker) === 'ready') && job.deps.fleet.peer(worker) !== undefined;
}
