import { openAccount } from '../../app/account';
import { requireJob } from '../../app/chain-job';
import type { OverdueActs, RequesterActs } from '../../chain/acts/emeth';
import type { JobId } from '../../domain/ids';
import type { ChainState } from '../../domain/job';
import { parseJobId } from '../../terminal/arguments';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

export async function cancelJob(id: string, options: CommonOptions): Promise<void> {
  const jobId = parseJobId(id);
  await using account = await openAccount(options);
  const job = await requireJob(account.chain, jobId);
  const before = endedBefore[job.state];
  if (before !== undefined) {
    if (options.json) return printJson({ jobId, state: job.state, sent: false });
    return printLines(
      `${jobId} ${before}, and nothing was sent. What came back of its fee is its requester's credit: emeth withdraw`,
    );
  }
  const isLate = (await account.chain.nowMs()) > job.deadlineMs;
  const { hash } = await endJob(account.emeth, jobId, job.state, isLate);
  const { state } = await account.chain.job(jobId);
  if (options.json) return printJson({ jobId, state, hash, sent: true });
  printLines(`${jobId} is ${state}. The fee is credit again: emeth withdraw`);
}

/**
 * Ends of a job that this command brings about: there is nothing left to do, whoever did it. An ended job
 * names its requester no more.
 */
const endedBefore: Partial<Record<ChainState, string>> = {
  CANCELED: 'was cancelled before',
  TIMEOUT: 'was ended before, after its deadline',
};

/**
 * The contract has three ways out of a job without a result; which one fits depends on who holds it and on
 * the time.
 */
function endJob(
  emeth: RequesterActs & OverdueActs,
  jobId: JobId,
  state: ChainState,
  isLate: boolean,
): Promise<{ hash: string }> {
  if (state === 'REQUESTED' && isLate) return emeth.expire(jobId);
  if (state === 'PROCESSING' && isLate) return emeth.timeout(jobId);
  // Anything else is the contract's to allow or refuse, with its own reason.
  return emeth.cancel(jobId);
}
