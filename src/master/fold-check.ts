/** The check of a fold while the next round is under way: it is confirmed, folded again, or ends the job. */

import { checkSequences, findCulprits, isBadFold, recallLosses } from '../domain/fold-check';
import type { Sha256 } from '../domain/ids';
import { inFoldOrder } from '../domain/order';
import { AppError, errorCode } from '../lib/errors';
import type { LeaseRow } from '../store/ledger';
import type { RoundRow } from '../store/rounds';
import { type FoldFiles, foldUpdates } from './fold';
import { type FoldedRound, LEAST_SEQUENCES, type PendingCheck } from './fold-check-state';
import type { JobContext } from './job-context';
import type { JobEvent } from './job-events';
import { returnLease } from './leases';
import { confirmFold } from './receipts';
import type { RoundState } from './round-state';
import { strike } from './strikes';
import { listDoubtful, lookLater } from './update-use';

/** Held-out sequences that a check looks at, at most; a job's first and last evaluation take them all. */
const MOST_SEQUENCES = 64;
/** So many bad folds in a row without a culprit end the job. */
const MAX_BAD_FOLDS = 3;

export type DivergedError = { code: 'job/diverged'; round: number; loss: number };

/** Notes that the loss after a fold is to be measured, before the next fold. */
export function openCheck(job: JobContext, folded: FoldedRound, merged?: RoundState): void {
  job.foldCheck.pending = { folded, merged, isBegun: false };
}

/**
 * Begins to measure what is to be measured; the answer comes as an event. To be called where nothing but
 * workers is waited for, since the child does one thing at a time: the next leases are cut first.
 */
export function beginCheck(job: JobContext): void {
  const { pending } = job.foldCheck;
  if (!pending || pending.isBegun) return;
  pending.isBegun = true;
  const { folded } = pending;
  void measure(job, pending).then(
    (loss) => job.mailbox.push({ type: 'checked', round: folded.round, loss }),
    (error: unknown) => {
      if (job.signal.aborted) return;
      job.deps.logger.warn('Evaluation failed', { round: folded.round }, error);
      job.mailbox.push({ type: 'checked', round: folded.round, loss: undefined });
    },
  );
}

/** First what its updates are good for, since that decides which are done again once the fold is final. */
async function measure(job: JobContext, { folded, merged }: PendingCheck): Promise<number> {
  try {
    if (merged) await lookLater(job, merged);
  } catch (error) {
    if (!job.signal.aborted) job.deps.logger.warn('Use was not measured', { round: folded.round }, error);
  }
  return measureFold(job, folded);
}

/** Takes up the check of a fold that was not final when this master last ended, or was in trouble. */
export async function resumeCheck(job: JobContext): Promise<void> {
  if (job.foldCheck.pending) return;
  const rounds = await job.deps.store.rounds.list(job.jobId);
  const last = rounds.findLast(({ state }) => state === 'folded');
  if (last?.nextTheta && !last.isConfirmed) openCheck(job, { round: last.round, theta: last.nextTheta });
}

export function onChecked(job: JobContext, { round, loss }: Extract<JobEvent, { type: 'checked' }>): void {
  const { pending } = job.foldCheck;
  if (pending?.folded.round === round) pending.answer = { loss };
}

/**
 * Makes the last fold final once its loss is known. `recalled`: it was folded again without the updates that
 * had spoilt it, and the open round, which began from the bad weights, is gone. Throws `job/diverged`.
 */
export async function settleCheck(
  job: JobContext,
  open: RoundState | undefined,
): Promise<'settled' | 'recalled' | 'pending'> {
  const { foldCheck } = job;
  const { pending } = foldCheck;
  if (!pending) return 'settled';
  if (!pending.answer) return 'pending';
  const { folded, answer } = pending;
  const { loss } = answer;
  if (loss === undefined || !isBadFold(loss, foldCheck.losses)) {
    foldCheck.badFolds = 0;
    await accept(job, folded, loss, false);
    return 'settled';
  }
  job.deps.logger.warn('Fold made the model worse', { round: folded.round, loss, before: foldCheck.losses.at(-1) });
  const startedAtMs = job.deps.clock.now();
  const isMended = await foldWithoutCulprits(job, folded, open);
  if (isMended) return 'recalled';
  foldCheck.badFolds += 1;
  if (!Number.isFinite(loss) || foldCheck.badFolds >= MAX_BAD_FOLDS) throw diverged(folded.round, loss);
  await accept(job, folded, loss, true);
  // The open round goes on; the search has cost it nothing but time.
  if (open) open.deadlineMs += job.deps.clock.now() - startedAtMs;
  return 'settled';
}

async function accept(
  job: JobContext,
  { round }: FoldedRound,
  loss: number | undefined,
  resetsOuter: boolean,
): Promise<void> {
  const { merged } = job.foldCheck.pending ?? {};
  const doubtful = merged ? listDoubtful(merged) : [];
  await confirmFold(job, { round, validationLoss: loss, resetsOuter, doubtful });
  job.foldCheck.pending = undefined;
  if (loss === undefined) return;
  job.live.validationLoss = loss;
  // A bad fold that stands is no measure of what comes after it.
  if (!resetsOuter) job.foldCheck.losses.push(loss);
}

/** True when leaving some updates out made the fold good. Their workers get a strike, others their ranges. */
async function foldWithoutCulprits(
  job: JobContext,
  folded: FoldedRound,
  open: RoundState | undefined,
): Promise<boolean> {
  const { store, logger } = job.deps;
  const round = await store.rounds.find(job.jobId, folded.round);
  if (!round) throw new Error(`Round ${folded.round} of ${job.jobId} is gone`);
  const leases = (await store.ledger.listLeases(job.jobId, round.round)).filter(({ state }) => state === 'merged');
  leases.sort(inFoldOrder);
  const tries = new Map<string, FoldFiles>();
  const losses = new Map<string, number>();
  const measure = async (kept: readonly number[]) => {
    const files = await foldAgain(job, round, pick(leases, kept));
    const loss = await measureLoss(job, files.nextTheta);
    tries.set(kept.join(), files);
    losses.set(kept.join(), loss);
    return loss;
  };
  const culprits = await findCulprits(leases.length, measure, (loss) => isBadFold(loss, job.foldCheck.losses));
  const kept = leases.map((_, i) => i).filter((i) => !culprits.includes(i));
  const files = culprits.length > 0 ? tries.get(kept.join()) : undefined;
  await dropTries(job, [...tries.values()], files, round);
  if (!files) return false;

  const reason = 'the model was worse with its update than without it';
  for (const lease of open?.unsettled() ?? []) await returnLease(job, lease, 'the round before it was folded again');
  const dropped = pick(leases, culprits);
  await store.rounds.refold({
    jobId: job.jobId,
    round: round.round,
    scale: round.scale ?? 1,
    ...files,
    reason,
    dropped: dropped.map(({ leaseId }) => leaseId),
  });
  job.live.mergedBlocks -= dropped.reduce((sum, { start, end }) => sum + end - start, 0);
  logger.warn('Folded again without bad updates', { round: round.round, dropped: dropped.length });
  await accept(job, { round: round.round, theta: files.nextTheta }, losses.get(kept.join()), false);
  for (const { worker } of dropped) await strike(job, worker, reason);
  return true;
}

function foldAgain(
  job: JobContext,
  { round, theta, scale }: RoundRow,
  leases: readonly LeaseRow[],
): Promise<FoldFiles> {
  return foldUpdates(job, {
    round,
    theta,
    scale: scale ?? 1,
    leases: leases.flatMap(({ leaseId, work, isDrawn: mustAudit }) =>
      work ? [{ leaseId, update: work.update.sha256, tokens: work.tokens, mustAudit }] : [],
    ),
  });
}

/** Removes the weights of all folds but the one that stands. */
async function dropTries(
  job: JobContext,
  tries: readonly FoldFiles[],
  chosen: FoldFiles | undefined,
  { nextTheta, outer, delta }: RoundRow,
): Promise<void> {
  const kept = chosen ? [chosen.nextTheta, chosen.outer, chosen.delta] : [nextTheta, outer, delta];
  const made = tries.flatMap((files) => [files.nextTheta, files.outer, files.delta]);
  for (const name of new Set(made)) if (!kept.includes(name)) await job.deps.blobs.remove(name);
}

/** Measures the weights after a fold, and those before it where no earlier check of this process did. */
async function measureFold(job: JobContext, { round, theta }: FoldedRound): Promise<number> {
  const { foldCheck } = job;
  if (foldCheck.losses.length === 0) {
    const rounds = await job.deps.store.rounds.list(job.jobId);
    const before = rounds[round];
    if (before) foldCheck.losses.push(...recallLosses(await measureFirst(job, before), rounds.slice(0, round)));
  }
  return measureLoss(job, theta);
}

/** The first measurement also decides how many sequences the job's checks can afford. */
async function measureFirst(job: JobContext, { round, theta }: RoundRow): Promise<number> {
  const { store, clock } = job.deps;
  const startedAtMs = clock.now();
  const rough = await measureLoss(job, theta);
  const sequenceMs = (clock.now() - startedAtMs) / LEAST_SEQUENCES;
  const granted = (await store.ledger.listLeases(job.jobId, round)).map(({ grantedAtMs }) => grantedAtMs);
  const roundMs = startedAtMs - Math.min(...granted);
  const limits = { least: LEAST_SEQUENCES, most: MOST_SEQUENCES };
  job.foldCheck.sequences = checkSequences({ roundMs, sequenceMs, ...limits });
  return job.foldCheck.sequences === LEAST_SEQUENCES ? rough : measureLoss(job, theta);
}

/** Nats per token on the check's sequences; infinite when the model no longer gives a number. */
async function measureLoss(job: JobContext, theta: Sha256): Promise<number> {
  const model = { theta: job.deps.blobs.path(theta) };
  try {
    const maxSequences = job.foldCheck.sequences;
    return (await job.coordinator.run({ type: 'evaluate', model, maxSequences }, 'evaluated')).loss;
  } catch (error) {
    if (errorCode(error) !== 'model/not-finite') throw error;
    return Number.POSITIVE_INFINITY;
  }
}

function pick<T>(items: readonly T[], at: readonly number[]): T[] {
  return at.flatMap((i) => items[i] ?? []);
}

function diverged(round: number, loss: number): AppError<DivergedError> {
  return new AppError(
    { code: 'job/diverged', round, loss },
    `The job diverged in round ${round} (loss ${loss}) whichever updates were left out; ask for a lower learning rate.`,
  );
}
