/** `emeth challenge`: disputes a submitted result with a bond. */
import { openAccount } from '../../app/account';
import { requireJob } from '../../app/chain-job';
import { formatEmt } from '../../domain/emt';
import type { JobId } from '../../domain/ids';
import { type ChainState, isTerminal } from '../../domain/job';
import { AppError } from '../../lib/errors';
import { parseJobId } from '../../terminal/arguments';
import type { SendOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

export type ChallengeError = { code: 'challenge/ended'; jobId: JobId; state: ChainState };

interface ChallengeOptions extends SendOptions {
  dryRun?: boolean | undefined;
}

export async function challengeResult(id: string, options: ChallengeOptions): Promise<void> {
  const jobId = parseJobId(id);
  await using account = await openAccount(options);
  const { state: before } = await requireJob(account.chain, jobId);
  requireOpen(jobId, before);
  const bondWei = await account.chain.bondOf(jobId);
  if (options.dryRun) {
    if (options.json) return printJson({ jobId, state: before, bondWei, sent: false });
    return talk(`The bond would be ${formatEmt(bondWei)}.`);
  }
  const { hash } = await account.emeth.challenge(jobId, bondWei);
  const { state } = await account.chain.job(jobId);
  if (options.json) return printJson({ jobId, state, bondWei, hash, sent: true });
  printLines(`${jobId} is ${state}, with a bond of ${formatEmt(bondWei)}.`);
}

/**
 * Throws `challenge/ended`: the contract remembers too little of an ended job to name a bond, and nothing is
 * left to dispute.
 */
function requireOpen(jobId: JobId, state: ChainState): void {
  if (!isTerminal(state)) return;
  throw new AppError<ChallengeError>(
    { code: 'challenge/ended', jobId, state },
    `The job ${jobId} has ended: it is ${state}; only a submitted result can be challenged.`,
  );
}
