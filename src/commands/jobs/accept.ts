import type { Command } from 'commander';
import { type CommonOptions, example } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

export function registerAccept(program: Command): void {
  program
    .command('accept')
    .description("as a job's requester: accept its result without waiting for verifiers, whose fee comes back")
    .argument('<id>', 'job id')
    .addHelpText('after', example('emeth accept 0x1f0c6f3fd2f8f0a1b2c3d4e5f6a7b8c9'))
    .action(accept);
}

async function accept(id: string, options: CommonOptions): Promise<void> {
  const { openAccount } = await import('../../app/account.js');
  const { parseJobId } = await import('../../terminal/arguments.js');
  const { requireJob } = await import('../../app/chain-job.js');
  const jobId = parseJobId(id);
  await using account = await openAccount(options);
  await requireJob(account.chain, jobId);
  const { hash } = await account.emeth.accept(jobId);
  const { state } = await account.chain.job(jobId);
  if (options.json) return printJson({ jobId, state, hash });
  printLines(`${jobId} is ${state}. What it did not use is credit again: emeth withdraw`);
}
