import type { Command } from 'commander';
import { type CommonOptions, example } from './options';
import { printJson, printLines } from './print';

export function registerCancel(program: Command): void {
  program
    .command('cancel')
    .description('take back a request that no node has taken yet; the fee becomes credit again')
    .argument('<id>', 'job id')
    .addHelpText('after', example('emeth cancel 0x1f0c6f3fd2f8f0a1b2c3d4e5f6a7b8c9'))
    .action(cancel);
}

async function cancel(id: string, options: CommonOptions): Promise<void> {
  const { openAccount } = await import('./account.js');
  const { parseJobId } = await import('./arguments.js');
  const { requireJob } = await import('./chain-job.js');
  const jobId = parseJobId(id);
  await using account = await openAccount(options);
  await requireJob(account.chain, jobId);
  const { hash } = await account.emeth.cancel(jobId);
  const { state } = await account.chain.job(jobId);
  if (options.json) return printJson({ jobId, state, hash });
  printLines(`${jobId} is ${state}. The fee is credit again: emeth withdraw`);
}
