/** preparing → training: takes the job on chain, unless this node already has it. */
import type { JobId } from '../../domain/ids';
import { crashPoint } from '../../lib/crash-point';
import { isTakenBy, requireWork } from '../chain-standing';
import type { JobWallet, MasterChain } from '../ports';
import type { StepResult } from './step';

interface TakeContext {
  readonly row: { id: JobId };
  readonly deps: { chain: Pick<MasterChain, 'job' | 'process'>; wallet: Pick<JobWallet, 'address'> };
}

/** Throws `job/ended-on-chain` when the job is no longer to be had. */
export async function takeJob({ row, deps: { chain, wallet } }: TakeContext): Promise<StepResult<'preparing'>> {
  crashPoint('plan.stored');
  const standing = await chain.job(row.id);
  requireWork('preparing', wallet.address, standing);
  if (!isTakenBy(wallet.address, standing)) await chain.process(row.id);
  crashPoint('process.mined');
  return { to: 'training' };
}
