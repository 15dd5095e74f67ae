/** preparing → training: takes the job on chain, unless this node already has it. */
import type { JobId } from '../../domain/ids';
import { crashPoint } from '../../lib/crash-point';
import type { DiskFloor } from '../../lib/disk-floor';
import { isTakenBy, requireWork } from '../chain-standing';
import type { JobWallet, MasterChain } from '../ports';
import type { StepResult } from './step';

interface TakeContext {
  readonly row: { id: JobId };
  readonly deps: {
    chain: Pick<MasterChain, 'job' | 'process'>;
    wallet: Pick<JobWallet, 'address'>;
    disk: Pick<DiskFloor, 'require'>;
  };
}

/** Throws `job/ended-on-chain` when the job is no longer to be had, `disk/low` while the disk is too full. */
export async function takeJob({ row, deps: { chain, wallet, disk } }: TakeContext): Promise<StepResult<'preparing'>> {
  crashPoint('plan.stored');
  const standing = await chain.job(row.id);
  requireWork('preparing', wallet.address, standing);
  if (!isTakenBy(wallet.address, standing)) {
    // A deposit is not locked for work that would wait for room.
    await disk.require(0);
    await chain.process(row.id);
  }
  crashPoint('process.mined');
  return { to: 'training' };
}
