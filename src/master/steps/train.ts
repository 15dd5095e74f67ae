/** training → exporting: runs rounds until every block is merged, or as many as a partial result may have. */

import { crashPoint } from '../../lib/crash-point';
import { AppError, describeError, errorCode } from '../../lib/errors';
import type { JobContext } from '../job-context';
import { isWorthIt } from '../reach';
import { runRounds } from '../training';
import type { StepContext, StepResult } from './step';

/** Why a job is given up although a part of it is done. */
const CUT_SHORT = /^job\/(deadline-near|no-worker|diverged)$/;

export async function trainJob(job: Pick<StepContext, 'openContext'>): Promise<StepResult<'training'>> {
  const context = await job.openContext();
  try {
    await runRounds(context);
  } catch (error) {
    if (!(error instanceof AppError) || !CUT_SHORT.test(errorCode(error)) || !(await cutShort(context, error)))
      throw error;
  }
  crashPoint('training.done');
  return { to: 'exporting' };
}

/** Keeps the rounds that count, for a requester who takes a part; false when there is no use in them. */
async function cutShort(job: JobContext, error: AppError): Promise<boolean> {
  const { store, logger } = job.deps;
  if (!isWorthIt(job)) return false;
  const reason = describeError(error);
  if ((await store.rounds.keepConfirmed(job.jobId, reason)) === 0) return false;
  job.openRound = undefined;
  job.foldCheck.pending = undefined;
  job.live.mergedBlocks = await store.ledger.merged(job.jobId);
  logger.warn('Job ends with a part of its blocks', { jobId: job.jobId, merged: job.live.mergedBlocks, reason });
  return true;
}
