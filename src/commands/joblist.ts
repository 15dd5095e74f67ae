import type { Command } from 'commander';
import { formatEmt } from '../domain/emt';
import type { JobView } from '../protocol/admin';
import { example } from './options';
import { printJson, printLines, talk } from './print';
import type { QueueOptions } from './queue';

interface ListOptions extends QueueOptions {
  state?: string | undefined;
}

export function registerJoblist(program: Command): void {
  program
    .command('joblist')
    .description("list the jobs of this master's queue")
    .option('--state <state>', 'only jobs in this state, e.g. training')
    .option('--url <url>', 'ask the master at this address (default: my_url, else its database)')
    .addHelpText('after', example('emeth joblist', 'emeth joblist --json --state training'))
    .action(joblist);
}

async function joblist(options: ListOptions): Promise<void> {
  const { openQueue } = await import('./queue.js');
  await using queue = await openQueue(options);
  const jobs = (await queue.list()).filter((job) => !options.state || job.state === options.state);
  if (options.json) return printJson(jobs);
  if (jobs.length === 0) return talk('The queue is empty.');
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: ['job', 'state', 'on chain', 'fee', 'progress', 'deadline', 'reason'],
    style: { head: [], border: [] },
  });
  for (const job of jobs) table.push(row(job));
  printLines(table.toString());
}

function row(job: JobView): string[] {
  const { progress } = job;
  return [
    job.jobId,
    job.state,
    job.chainState,
    formatEmt(BigInt(job.feeWei)),
    progress ? `${Math.floor((100 * progress.mergedBlocks) / progress.totalBlocks)} %` : '',
    new Date(job.deadlineMs).toISOString().slice(0, 16).replace('T', ' '),
    job.reason ?? '',
  ];
}
