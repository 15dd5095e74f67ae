/** `emeth decline`: gives back a job that this node has taken. */
import { openAccount } from '../../app/account';
import { requireJob } from '../../app/chain-job';
import { defaultConfigPath } from '../../app/context';
import { openQueue } from '../../app/queue';
import type { JobId } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { parseJobId } from '../../terminal/arguments';
import type { CommonOptions, SendOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

export type DeclineError = { code: 'usage/which-job'; jobs: JobId[] };

export async function declineJob(id: string | undefined, options: SendOptions): Promise<void> {
  const jobId = id === undefined ? await onlyJob(options) : parseJobId(id);
  // The node's own account, even when a requester's configuration lies beside it.
  await using account = await openAccount({ ...options, config: options.config ?? defaultConfigPath('master') });
  await requireJob(account.chain, jobId);
  const { hash } = await account.emeth.decline(jobId);
  const { state } = await account.chain.job(jobId);
  if (options.json) return printJson({ jobId, state, hash });
  printLines(`${jobId} is given back; it is ${state} now. A running master stops working on it by itself.`);
}

async function onlyJob(options: CommonOptions): Promise<JobId> {
  await using queue = await openQueue(options);
  const jobs = (await queue.list()).filter((job) => job.chainState === 'PROCESSING');
  const [only] = jobs;
  if (only && jobs.length === 1) return only.jobId;
  const sentence = only
    ? `Several jobs are in progress: ${jobs.map((job) => job.jobId).join(', ')}. Name one.`
    : 'No job is in progress.';
  throw new AppError<DeclineError>({ code: 'usage/which-job', jobs: jobs.map((job) => job.jobId) }, sentence);
}
