/** The workers of a job and whether they are ready for a lease. */
import { hashSeed } from '../domain/audit';
import type { Address } from '../domain/ids';
import { memoryBytesOf } from '../domain/job-fit';
import { byAddress } from '../domain/order';
import { isAuditing } from './audit-state';
import type { JobContext } from './job-context';
import { sizeOfPlan } from './plan';
import { readStanding } from './standings';

/**
 * Asks the worker to get ready for the job; it answers `job.ready`. Asking a ready worker again changes
 * nothing.
 */
export async function openMember(job: JobContext, worker: Address): Promise<void> {
  if (!job.standings.has(worker)) job.standings.set(worker, await readStanding(job, worker));
  const { params, base, prepared, totalBlocks, auditSeed } = job.plan;
  job.members.set(worker, 'opening');
  job.deps.fleet.send(worker, {
    type: 'job.open',
    jobId: job.jobId,
    params,
    base,
    vocabSize: prepared.vocabSize,
    totalBlocks,
    auditSeedHash: hashSeed(auditSeed),
  });
}

/** Returns how many bytes a worker's smallest device lacks for the job; 0 where it fits. */
export function missingMemory({ deps, plan }: JobContext, worker: Address): number {
  const found = deps.fleet.capacityOf(worker)?.memoryBytes ?? 0;
  return Math.max(0, memoryBytesOf(sizeOfPlan(plan)) - found);
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

/** Counts the connected members by state. */
export function countMembers(job: JobContext): { ready: number; opening: number } {
  const connected = [...job.members].filter(([worker]) => job.deps.fleet.peer(worker));
  const ready = connected.filter(([, state]) => state === 'ready').length;
  return { ready, opening: connected.length - ready };
}
