/** submitting → submitted: commits to the result on chain. */

import { crashPoint } from '../../lib/crash-point';
import type { JobRow } from '../../store/jobs';
import { isTakenBy, requireWork } from '../chain-standing';
import type { JobWallet, MasterChain } from '../ports';
import { resultOf, type StepResult } from './step';

interface SubmitContext {
  readonly row: Pick<JobRow, 'id' | 'result'>;
  readonly deps: { chain: Pick<MasterChain, 'job' | 'submit'>; wallet: Pick<JobWallet, 'address'> };
}

/** Throws `job/ended-on-chain` when the job is over or with another node. */
export async function submitJob({ row, deps }: SubmitContext): Promise<StepResult<'submitting'>> {
  const { chain, wallet } = deps;
  const { manifest, fuelUsed, payoutRoot } = resultOf(row);
  crashPoint('result.stored');
  const standing = await chain.job(row.id);
  requireWork('submitting', wallet.address, standing);
  if (isTakenBy(wallet.address, standing)) {
    const resultHash = `0x${manifest}`;
    await chain.submit(row.id, { resultHash, fuelUsed, payoutRoot });
  }
  crashPoint('submit.mined');
  return { to: 'submitted' };
}
