/** Puts a job back into the queue because the operator says so. */
import type { JobId } from '../domain/ids';
import { type ChainState, canMove, isActive, type JobState } from '../domain/job';
import { AppError } from '../lib/errors';
import type { JobRow } from '../store/jobs';
import type { MasterChain, QueueStore } from './ports';

export type RequeueError =
  | { code: 'job/not-found'; jobId: string }
  | { code: 'job/not-idle'; jobId: string; state: JobState }
  | { code: 'job/not-open'; jobId: string; chainState: ChainState }
  | { code: 'job/moved'; jobId: string };

interface RequeueDeps {
  store: { jobs: Pick<QueueStore['jobs'], 'find' | 'move'> };
  chain: Pick<MasterChain, 'job'>;
}

/** Throws `job/not-found`, `job/not-idle` while a master works on it, `job/not-open` by the chain's word. */
export async function requeueJob(jobId: JobId, { store, chain }: RequeueDeps): Promise<'queued'> {
  const row = await findJob(jobId, store);
  const { state } = row;
  if (state === 'queued') return 'queued';
  if (isActive(state) || !canMove(state, 'queued')) {
    const which = 'only jobs that were skipped, failed or declined can be queued again';
    throw new AppError<RequeueError>({ code: 'job/not-idle', jobId, state }, `Job ${jobId} is ${state}; ${which}.`);
  }
  const { state: chainState } = await chain.job(jobId);
  if (chainState !== 'REQUESTED') {
    throw new AppError<RequeueError>(
      { code: 'job/not-open', jobId, chainState },
      `The chain says that job ${jobId} is ${chainState}; only a job that waits for a node can be queued again.`,
    );
  }
  if (await store.jobs.move(jobId, state, 'queued')) return 'queued';
  throw new AppError<RequeueError>({ code: 'job/moved', jobId }, `Job ${jobId} moved on meanwhile; look at it again.`);
}

/** Throws `job/not-found`. */
export async function findJob(jobId: JobId, { jobs }: RequeueDeps['store']): Promise<JobRow> {
  const row = await jobs.find(jobId);
  if (row) return row;
  throw new AppError<RequeueError>({ code: 'job/not-found', jobId }, `No job ${jobId} is in this master's queue.`);
}
