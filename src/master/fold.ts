/** Ends rounds: folds the ready updates into the next weights, or gives the round up. */
import { join } from 'node:path';
import { isComparable } from '../domain/audit';
import type { Sha256 } from '../domain/ids';
import { crashPoint } from '../lib/crash-point';
import type { TrainedUpdate } from '../protocol/update';
import type { MergedLease } from '../store/rounds';
import type { FoldedRound } from './fold-check-state';
import type { JobContext } from './job-context';
import { loseLease, returnLease } from './leases';
import type { LiveLease, RoundState } from './round-state';

const ABANDON_PAUSE_MS = 2000;

/** What a fold is made of. */
interface FoldInput {
  round: number;
  theta: Sha256;
  scale: number;
  leases: readonly { leaseId: string; update: Sha256; tokens: number; mustAudit?: boolean | undefined }[];
}

/** The files of a fold, and the weight of each lease in it. */
export interface FoldFiles {
  nextTheta: Sha256;
  outer: Sha256;
  delta: Sha256;
  leases: readonly MergedLease[];
}

/**
 * Ends a round: releases what is not ready, folds the ready updates into the next weights, and records FOLDED
 * and MERGED in one transaction. It becomes final, and the workers get their receipts, once it is checked.
 */
export async function foldRound(job: JobContext, round: RoundState, scale: number): Promise<FoldedRound> {
  const { store, logger } = job.deps;
  await endUnsettled(job, round, 'the round closed without it');
  const ready = round.ready();
  const leases = ready.map((lease) => ({
    leaseId: lease.leaseId,
    update: workOf(lease).update.sha256,
    tokens: (lease.end - lease.start) * job.plan.prepared.blockTokens,
    mustAudit: lease.mustAudit && isComparable(job.plan.params),
  }));
  const files = await foldUpdates(job, { round: round.round, theta: round.theta, scale, leases });
  crashPoint('fold.written');
  await store.rounds.fold({ jobId: job.jobId, round: round.round, scale, ...files });
  crashPoint('fold.stored');
  await job.deps.evidence.afterFold(job.jobId, [files.nextTheta, ...leases.map(({ update }) => update)]);
  await job.deps.evidence.dropOuters(job.jobId, round.round);
  job.live.mergedBlocks += ready.reduce((sum, lease) => sum + lease.end - lease.start, 0);
  job.live.lastFoldMs = job.deps.clock.now();
  job.live.loss = weightedLoss(ready);
  logger.info('Round folded', { round: round.round, updates: ready.length, scale, loss: job.live.loss });
  return { round: round.round, theta: files.nextTheta };
}

/** Folds updates into the next weights, as files and blobs alone; nothing is recorded. */
export async function foldUpdates(job: JobContext, { round, theta, scale, leases }: FoldInput): Promise<FoldFiles> {
  const { store, blobs } = job.deps;
  const before = round > 0 ? await store.rounds.find(job.jobId, round - 1) : undefined;
  const outer = before?.resetsOuter ? undefined : before?.outer;
  const out = (name: string) => join(job.dir, `${name}-${round}.safetensors`);
  const folded = await job.coordinator.run(
    {
      type: 'fold',
      theta: blobs.path(theta),
      ...(outer ? { outer: blobs.path(outer) } : {}),
      updates: leases.map(({ update, tokens }) => ({ path: blobs.path(update), weight: tokens })),
      scale,
      thetaOut: out('theta'),
      outerOut: out('outer'),
      deltaOut: out('delta'),
    },
    'folded',
  );
  crashPoint('fold.computed');
  // At once: each is hashed by this process and then waits for the disk.
  const add = ({ path }: { path: string }) => blobs.add(path, { move: true });
  const [, state] = await Promise.all([add(folded.theta), add(folded.outer), add(folded.delta)]);
  return {
    nextTheta: folded.theta.sha256,
    outer: state.sha256,
    delta: folded.delta.sha256,
    leases: leases.map(({ leaseId, mustAudit }, i) => {
      const weight = folded.weights[i];
      if (weight === undefined) throw new Error(`The fold gave no weight for lease ${leaseId}`);
      return { leaseId, weight, mustAudit };
    }),
  };
}

/**
 * Ends a round without any update: its blocks are available again, and the same round will be opened anew.
 */
export async function abandonRound(job: JobContext, round: RoundState): Promise<void> {
  await endUnsettled(job, round, 'the round was abandoned');
  job.deps.logger.warn('Round abandoned; its blocks are leased again', { round: round.round });
  // A failure that comes at once must not turn into a busy loop.
  await job.deps.clock.sleep(ABANDON_PAUSE_MS, job.signal);
}

/** An update that had arrived but was not through the gate yet is not its worker's loss. */
async function endUnsettled(job: JobContext, round: RoundState, reason: string): Promise<void> {
  for (const lease of round.unsettled()) {
    if (lease.state === 'collecting') await returnLease(job, lease, reason);
    else await loseLease(job, lease, reason);
  }
}

function workOf(lease: LiveLease): TrainedUpdate {
  if (!lease.work) throw new Error(`Lease ${lease.leaseId} is ready without an update`);
  return lease.work;
}

function weightedLoss(leases: readonly LiveLease[]): number {
  const blocks = leases.reduce((sum, lease) => sum + lease.end - lease.start, 0);
  return leases.reduce((sum, lease) => sum + workOf(lease).loss * (lease.end - lease.start), 0) / blocks;
}
