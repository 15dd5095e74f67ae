/** submitting → submitted: commits to the result on chain. */
import type { JobRow } from '../../store/jobs';
import type { MasterChain } from '../ports';
import { resultOf, type StepResult } from './step';

interface SubmitContext {
  readonly row: Pick<JobRow, 'id' | 'result'>;
  readonly deps: { chain: Pick<MasterChain, 'job' | 'submit'> };
}

export async function submitJob({ row, deps: { chain } }: SubmitContext): Promise<StepResult<'submitting'>> {
  const { manifest, fuelUsed, payoutRoot } = resultOf(row);
  const { state } = await chain.job(row.id);
  if (state === 'PROCESSING') {
    const resultHash = `0x${manifest}`;
    await chain.submit(row.id, { resultHash, fuelUsed, payoutRoot, reference: `sha256:${manifest}` });
  }
  return { to: 'submitted' };
}
