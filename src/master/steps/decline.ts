/** declining → declined: gives a job back on chain, if this node still has it. */
import type { JobId } from '../../domain/ids';
import { isTakenBy, requireWork } from '../chain-standing';
import type { JobWallet, MasterChain } from '../ports';
import type { StepResult } from './step';

interface DeclineContext {
  readonly row: { id: JobId; reason?: string | undefined };
  readonly deps: { chain: Pick<MasterChain, 'job' | 'decline'>; wallet: Pick<JobWallet, 'address'> };
}

/** Throws `job/ended-on-chain` when the job ended before it could be given back. */
export async function giveBackJob({ row, deps: { chain, wallet } }: DeclineContext): Promise<StepResult<'declining'>> {
  const standing = await chain.job(row.id);
  requireWork('declining', wallet.address, standing);
  if (isTakenBy(wallet.address, standing)) await chain.decline(row.id);
  return { to: 'declined', facts: { reason: row.reason } };
}
