/** preparing → training: takes the job on chain, unless this node already has it. */
import type { JobId } from '../../domain/ids';
import type { JobWallet, MasterChain } from '../ports';
import type { StepResult } from './step';

interface TakeContext {
  readonly row: { id: JobId };
  readonly deps: { chain: Pick<MasterChain, 'job' | 'process'>; wallet: Pick<JobWallet, 'address'> };
}

export async function takeJob({ row, deps: { chain, wallet } }: TakeContext): Promise<StepResult<'preparing'>> {
  const { state, node } = await chain.job(row.id);
  const isTaken = state === 'PROCESSING' && node === wallet.address;
  if (!isTaken) await chain.process(row.id);
  return { to: 'training' };
}
