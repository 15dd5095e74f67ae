/** declining → declined: gives a job back on chain, if this node still has it. */
import type { JobId } from '../../domain/ids';
import type { JobWallet, MasterChain } from '../ports';
import type { StepResult } from './step';

interface DeclineContext {
  readonly row: { id: JobId };
  readonly deps: { chain: Pick<MasterChain, 'job' | 'decline'>; wallet: Pick<JobWallet, 'address'> };
}

export async function declineJob({ row, deps: { chain, wallet } }: DeclineContext): Promise<StepResult<'declining'>> {
  const { state, node } = await chain.job(row.id);
  if (state === 'PROCESSING' && node === wallet.address) await chain.decline(row.id);
  return { to: 'declined' };
}
