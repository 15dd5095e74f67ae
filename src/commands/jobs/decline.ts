import type { Command } from 'commander';
import type { JobId } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { type CommonOptions, example } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

export type DeclineError = { code: 'usage/which-job'; jobs: JobId[] };

export function registerDecline(program: Command): void {
  program
    .command('decline')
    .description('give a job back that this master has taken; costs a small part of the deposit')
    .argument('[id]', 'job id (default: the only one in work)')
    .addHelpText('after', example('emeth decline', 'emeth decline 0x1f0c6f3fd2f8f0a1b2c3d4e5f6a7b8c9'))
    .action(decline);
}

async function decline(id: string | undefined, options: CommonOptions): Promise<void> {
  const { openAccount } = await import('../../app/account.js');
  const { parseJobId } = await import('../../terminal/arguments.js');
  const { requireJob } = await import('../../app/chain-job.js');
  const { defaultConfigPath } = await import('../../app/context.js');
  const jobId = id === undefined ? await onlyJob(options) : parseJobId(id);
  // The node's own account, even where a requester's configuration lies beside it.
  await using account = await openAccount({ ...options, config: options.config ?? defaultConfigPath('master') });
  await requireJob(account.chain, jobId);
  const { hash } = await account.emeth.decline(jobId);
  const { state } = await account.chain.job(jobId);
  if (options.json) return printJson({ jobId, state, hash });
  printLines(`${jobId} is given back; it is ${state} now. A running master stops working on it by itself.`);
}

async function onlyJob(options: CommonOptions): Promise<JobId> {
  const { openQueue } = await import('../../app/queue.js');
  await using queue = await openQueue(options);
  const jobs = (await queue.list()).filter((job) => job.chainState === 'PROCESSING');
  const [only] = jobs;
  if (only && jobs.length === 1) return only.jobId;
  const sentence = only
    ? `Several jobs are in work: ${jobs.map((job) => job.jobId).join(', ')}. Name one.`
    : 'No job is in work.';
  throw new AppError<DeclineError>({ code: 'usage/which-job', jobs: jobs.map((job) => job.jobId) }, sentence);
}
