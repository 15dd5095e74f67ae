/** submitted → verified: waits for the verdict, then has the workers paid. */
import type { Clock } from '../../lib/clock';
import { crashPoint } from '../../lib/crash-point';
import type { Logger } from '../../lib/logger';
import type { JobRow } from '../../store/jobs';
import { requireWork } from '../chain-standing';
import type { JobWallet, MasterChain } from '../ports';
import { resultOf, type StepResult } from './step';

interface SettleContext {
  readonly row: Pick<JobRow, 'id' | 'result'>;
  readonly signal: AbortSignal;
  readonly deps: {
    chain: Pick<MasterChain, 'job' | 'finalize' | 'unwind' | 'payWorkers'>;
    wallet: Pick<JobWallet, 'address'>;
    clock: Clock;
    logger: Logger;
  };
}

const VERDICT_POLL_MS = 2000;

/** Throws `job/ended-on-chain` when the job ends without pay. */
export async function settleJob(job: SettleContext): Promise<StepResult<'submitted'>> {
  const { chain, clock, logger } = job.deps;
  const jobId = job.row.id;
  while (!(await isVerified(job))) await clock.sleep(VERDICT_POLL_MS, job.signal);
  crashPoint('verdict.seen');
  const { manifest, shares } = resultOf(job.row);
  await chain.payWorkers(jobId, `0x${manifest}`, shares);
  crashPoint('pay.mined');
  logger.info('Job verified and paid', { jobId });
  return { to: 'verified' };
}

/**
 * Looks once; asks the contract to settle a result or a dispute whose window has passed without a verdict.
 */
async function isVerified({ row, deps: { chain, wallet, clock } }: SettleContext): Promise<boolean> {
  const { state, node, deadlineMs } = await chain.job(row.id);
  requireWork('submitted', wallet.address, { state, node });
  if (state === 'VERIFIED') return true;
  // Some slack, because a chain block's time may be behind this machine's.
  if (clock.now() > deadlineMs + VERDICT_POLL_MS) {
    if (state === 'SUBMITTED') await chain.finalize(row.id);
    if (state === 'DISPUTED') await chain.unwind(row.id);
  }
  return false;
}
