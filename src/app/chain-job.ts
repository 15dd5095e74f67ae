/** A job as the contract has it, and the events about it, for commands and the verifier. */
import type { CoreEvent } from '../chain/contract/events';
import type { Chain, ChainJob } from '../chain/rpc/client';
import type { JobId } from '../domain/ids';
import { AppError } from '../lib/errors';

// Providers limit how many chain blocks one query may span; few refuse this many.
const SPAN_BLOCKS = 9_999;

/** Returns the job as the contract has it. Throws `job/not-found` for an id nobody requested. */
export async function requireJob(chain: Chain, jobId: JobId): Promise<ChainJob> {
  const job = await chain.job(jobId);
  if (job.state !== 'NONE') return job;
  throw new AppError(
    { code: 'job/not-found', jobId },
    `There is no job ${jobId} in the contract ${chain.core} on chain ${chain.chainId}.`,
  );
}

/** Finds the latest submission of a job's result, searching from the newest chain block backwards. */
export async function findSubmission(
  chain: Chain,
  jobId: JobId,
): Promise<Extract<CoreEvent, { type: 'JobSubmitted' }> | undefined> {
  for (let to = await chain.headBlock(); to >= 0; to -= SPAN_BLOCKS + 1) {
    const events = await chain.events(Math.max(0, to - SPAN_BLOCKS), to, jobId);
    const submitted = events.filter((event) => event.type === 'JobSubmitted').at(-1);
    if (submitted) return submitted;
    // No event of a job is older than its request.
    if (events.some((event) => event.type === 'JobRequested')) return undefined;
  }
  return undefined;
}
