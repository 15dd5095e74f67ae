/** A job as the contract has it, and the events about it, for commands and the verifier. */
import type { CoreEvent } from '../chain/contract/events';
import type { Chain, ChainJob } from '../chain/rpc/client';
import { parseBlobReference } from '../domain/blob-reference';
import type { JobId } from '../domain/ids';
import { isTerminal } from '../domain/job';
import { AppError } from '../lib/errors';
import type { SubmittedJob } from '../verifier/manifest-checks';

export type SubmissionError = { code: 'result/not-found'; jobId: JobId; state: string };

// Providers limit how many chain blocks one query may span; few refuse this many.
const SPAN_BLOCKS = 9_999;
const RECENT_SPANS = 10;

/** Returns the job as the contract has it. Throws `job/not-found` for an id nobody requested. */
export async function requireJob(chain: Chain, jobId: JobId): Promise<ChainJob> {
  const job = await chain.job(jobId);
  if (job.state !== 'NONE') return job;
  throw new AppError(
    { code: 'job/not-found', jobId },
    `There is no job ${jobId} in the contract ${chain.core} on chain ${chain.chainId}.`,
  );
}

type EventSource = Pick<Chain, 'headBlock' | 'events'>;
type EventOf<T extends CoreEvent['type']> = Extract<CoreEvent, { type: T }>;
export type JobSubmission = EventOf<'JobSubmitted'>;

/** Finds the latest submission of a job's result, searching from the newest chain block backwards. */
export function findSubmission(chain: EventSource, jobId: JobId): Promise<JobSubmission | undefined> {
  return findLast(chain, jobId, 'JobSubmitted');
}

/** As `findSubmission`. Throws `job/not-found` and, for a job without a result, `result/not-found`. */
export async function requireSubmission(chain: Chain, jobId: JobId): Promise<JobSubmission> {
  const { state } = await requireJob(chain, jobId);
  const submission = await findSubmission(chain, jobId);
  if (submission) return submission;
  throw new AppError<SubmissionError>(
    { code: 'result/not-found', jobId, state },
    isTerminal(state)
      ? `The job ${jobId} ended without a result: it is ${state}. Its money is credit again; see \`emeth node\`.`
      : `The job ${jobId} has no result yet; it is ${state}. Add --wait to wait for it.`,
  );
}

/** Finds a job's request, which says what was asked for and for how much. */
export function findRequest(chain: EventSource, jobId: JobId): Promise<EventOf<'JobRequested'> | undefined> {
  return findLast(chain, jobId, 'JobRequested');
}

/** Finds the rejection of a job's result, which names its evidence. */
export function findRejection(chain: EventSource, jobId: JobId): Promise<EventOf<'JobRejected'> | undefined> {
  return findLast(chain, jobId, 'JobRejected');
}

async function findLast<T extends CoreEvent['type']>(
  chain: EventSource,
  jobId: JobId,
  type: T,
): Promise<EventOf<T> | undefined> {
  const isWanted = (event: CoreEvent): event is EventOf<T> => event.type === type;
  for (let to = await chain.headBlock(); to >= 0; to -= SPAN_BLOCKS + 1) {
    const events = await chain.events(Math.max(0, to - SPAN_BLOCKS), to, jobId);
    const found = events.filter(isWanted).at(-1);
    if (found) return found;
    // No event of a job is older than its request.
    if (events.some((event) => event.type === 'JobRequested')) return undefined;
  }
  return undefined;
}

/**
 * Returns up to `count` of the newest requests of jobs, the newest first, as far back as a few queries
 * reach: nobody should wait minutes for what is only good to know.
 */
export async function recentRequests(chain: Chain, count: number): Promise<EventOf<'JobRequested'>[]> {
  const found: EventOf<'JobRequested'>[] = [];
  let to = await chain.headBlock();
  for (let spans = 0; spans < RECENT_SPANS && to >= 0 && found.length < count; spans++, to -= SPAN_BLOCKS + 1) {
    const events = await chain.events(Math.max(0, to - SPAN_BLOCKS), to);
    found.push(...events.filter((event) => event.type === 'JobRequested').reverse());
  }
  return found.slice(0, count);
}

/** Joins a request and its submission to what a manifest is measured against. */
export function describeSubmitted(
  { chainId, core: contract }: Pick<Chain, 'chainId' | 'core'>,
  { dataset, params, feeWei, fuelLimit }: Pick<SubmittedJob, 'dataset' | 'params' | 'feeWei' | 'fuelLimit'>,
  submission: JobSubmission,
): SubmittedJob {
  const { jobId, node, resultHash, payoutRoot, fuelUsed, blockNumber: submitBlock } = submission;
  const request = { dataset, params, feeWei, fuelLimit };
  const locations = locationsOf(submission);
  return { jobId, chainId, contract, node, ...request, resultHash, locations, payoutRoot, fuelUsed, submitBlock };
}

/**
 * Returns the storages that a node names for its result: all or none, as the reference on chain is only
 * text.
 */
export function locationsOf({ result, resultHash }: Pick<JobSubmission, 'result' | 'resultHash'>): readonly string[] {
  const named = parseBlobReference(result);
  return named && `0x${named.sha256}` === resultHash ? named.locations : [];
}
