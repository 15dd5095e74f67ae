/** Ends rounds: folds the ready updates into the next weights, or gives the round up. */
import { join } from 'node:path';
import type { Address, Sha256 } from '../domain/ids';
import { type Receipt, receiptTypes } from '../protocol/link';
import { LINK_DOMAIN } from '../protocol/storage';
import type { TrainedUpdate } from '../protocol/update';
import type { JobContext } from './job-context';
import { loseLease, returnLease } from './leases';
import type { LiveLease, RoundState } from './round-state';

/** Held-out sequences looked at after each round; the first and the last evaluation take them all. */
const ROUND_SEQUENCES = 64;
const ABANDON_PAUSE_MS = 2000;

/** A folded round, and the weights it produced. */
export interface FoldedRound {
  round: number;
  theta: Sha256;
}

/**
 * Ends a round: releases what is not ready, folds the ready updates into the next weights, and records
 * FOLDED, MERGED and the receipts in one transaction. Then the workers get their receipts.
 */
export async function foldRound(job: JobContext, round: RoundState, scale: number): Promise<FoldedRound> {
  const { store, blobs, logger } = job.deps;
  await endUnsettled(job, round, 'the round closed without it');
  const ready = round.ready();
  const outer = round.round > 0 ? (await store.rounds.find(job.jobId, round.round - 1))?.outer : undefined;
  const out = (name: string) => join(job.dir, `${name}-${round.round}.safetensors`);
  const folded = await job.coordinator.run(
    {
      type: 'fold',
      theta: blobs.path(round.theta),
      ...(outer ? { outer: blobs.path(outer) } : {}),
      updates: ready.map((lease) => ({ path: blobs.path(workOf(lease).update.sha256), weight: tokensOf(job, lease) })),
      scale,
      thetaOut: out('theta'),
      outerOut: out('outer'),
      deltaOut: out('delta'),
    },
    'folded',
  );
  for (const file of [folded.theta, folded.outer, folded.delta]) await blobs.add(file.path, { move: true });

  const receipts = await writeReceipts(job, round.round, ready);
  await store.rounds.fold({
    jobId: job.jobId,
    round: round.round,
    nextTheta: folded.theta.sha256,
    outer: folded.outer.sha256,
    delta: folded.delta.sha256,
    scale,
    leases: withWeights(ready, folded.weights),
    receipts,
  });
  await job.deps.evidence.afterFold(job.jobId, [
    folded.theta.sha256,
    ...ready.map((lease) => workOf(lease).update.sha256),
  ]);
  for (const { receipt, signature } of receipts) {
    job.deps.fleet.send(receipt.worker, {
      type: 'receipt',
      receipt: { ...receipt, expectedWei: receipt.expectedWei.toString() },
      signature,
    });
  }
  job.live.mergedBlocks += ready.reduce((sum, lease) => sum + lease.end - lease.start, 0);
  job.live.lastFoldMs = job.deps.clock.now();
  job.live.loss = weightedLoss(ready);
  logger.info('Round folded', { round: round.round, updates: ready.length, scale, loss: job.live.loss });
  return { round: round.round, theta: folded.theta.sha256 };
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

/**
 * Evaluates a round's weights on the held-out part; the loss is only shown. Called once the next round is
 * leased, so that no worker waits for it.
 */
export async function evaluateRound(job: JobContext, { round, theta }: FoldedRound): Promise<void> {
  try {
    const { loss } = await job.coordinator.run(
      { type: 'evaluate', model: { theta: job.deps.blobs.path(theta) }, maxSequences: ROUND_SEQUENCES },
      'evaluated',
    );
    job.live.validationLoss = loss;
    await job.deps.store.rounds.setValidationLoss(job.jobId, round, loss);
  } catch (error) {
    if (!job.signal.aborted) job.deps.logger.warn('Evaluation failed', { round }, error);
  }
}

/** An update that had arrived but was not through the gate yet is not its worker's loss. */
async function endUnsettled(job: JobContext, round: RoundState, reason: string): Promise<void> {
  for (const lease of round.unsettled()) {
    if (lease.state === 'collecting') await returnLease(job, lease, reason);
    else await loseLease(job, lease, reason);
  }
}

function withWeights(leases: readonly LiveLease[], weights: readonly number[]) {
  return leases.map(({ leaseId }, i) => {
    const weight = weights[i];
    if (weight === undefined) throw new Error(`The fold gave no weight for lease ${leaseId}`);
    return { leaseId, weight };
  });
}

async function writeReceipts(job: JobContext, round: number, leases: readonly LiveLease[]) {
  const before = await job.deps.store.rounds.tokensByWorker(job.jobId);
  const inRound = new Map<Address, number>();
  for (const lease of leases) inRound.set(lease.worker, (inRound.get(lease.worker) ?? 0) + tokensOf(job, lease));
  return Promise.all(
    [...inRound].map(([worker, tokens]) => signReceipt(job, round, worker, tokens, tokens + (before.get(worker) ?? 0))),
  );
}

async function signReceipt(job: JobContext, round: number, worker: Address, tokens: number, totalTokens: number) {
  const planned = BigInt(job.plan.totalBlocks) * BigInt(job.plan.prepared.blockTokens);
  const expectedWei = (job.workerPoolWei * BigInt(totalTokens)) / planned;
  const receipt: Receipt = { jobId: job.jobId, round, worker, tokens, totalTokens, expectedWei };
  const signature = await job.deps.wallet.signTyped(LINK_DOMAIN, receiptTypes, receipt);
  return { receipt, signature };
}

function tokensOf(job: JobContext, lease: LiveLease): number {
  return (lease.end - lease.start) * job.plan.prepared.blockTokens;
}

function workOf(lease: LiveLease): TrainedUpdate {
  if (!lease.work) throw new Error(`Lease ${lease.leaseId} is ready without an update`);
  return lease.work;
}

function weightedLoss(leases: readonly LiveLease[]): number {
  const blocks = leases.reduce((sum, lease) => sum + lease.end - lease.start, 0);
  return leases.reduce((sum, lease) => sum + workOf(lease).loss * (lease.end - lease.start), 0) / blocks;
}
