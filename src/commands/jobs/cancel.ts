/** `emeth cancel`: ends a job without a result, by whichever way the contract has for its state. */
import { openAccount } from '../../app/account';
import { requireJob } from '../../app/chain-job';
import type { OverdueActs, RequesterActs } from '../../chain/acts/emeth';
import type { JobId } from '../../domain/ids';
import type { ChainState } from '../../domain/job';
import { parseJobId } from '../../terminal/arguments';
import type { SendOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

export async function cancelJob(id: string, options: SendOptions): Promise<void> {
  const jobId = parseJobId(id);
  await using account = await openAccount(options);
  const job = await requireJob(account.chain, jobId);
  const before = endedBefore[job.state];
  if (before !== undefined) {
    if (options.json) return printJson({ jobId, state: job.state, sent: false });
    return printLines(
      `${jobId} ${before}, and nothing was sent. What came back of its fee is its requester's credit; take it out with: emeth withdraw`,
    );
  }
  const isLate = (await account.chain.nowMs()) > job.deadlineMs;
  const { hash } = await endJob(account.emeth, jobId, job.state, isLate);
  const { state } = await account.chain.job(jobId);
  if (options.json) return printJson({ jobId, state, hash, sent: true });
  printLines(`${jobId} is ${state}. The fee is credit again; take it out with: emeth withdraw`);
}

/**
 * States in which this command has nothing left to do, whoever ended the job. The contract no longer names
 * the requester of an ended job.
 */
const endedBefore: Partial<Record<ChainState, string>> = {
  CANCELED: 'was already cancelled',
  TIMEOUT: 'already ended, after its deadline',
};

/**
 * The contract has three ways to end a job without a result; the state and the time decide which one fits.
 */
function endJob(
  emeth: RequesterActs & OverdueActs,
  jobId: JobId,
  state: ChainState,
  isLate: boolean,
): Promise<{ hash: string }> {
  if (state === 'REQUESTED' && isLate) return emeth.expire(jobId);
  if (state === 'PROCESSING' && isLate) return emeth.timeout(jobId);
  // The contract decides anything else, and gives its own reason when it refuses.
  return emeth.cancel(jobId);
}
