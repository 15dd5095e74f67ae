/** `emeth accept`: a requester settles a result without waiting for the verifiers. */
import { openAccount } from '../../app/account';
import { requireJob } from '../../app/chain-job';
import { parseJobId } from '../../terminal/arguments';
import type { SendOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

export async function acceptResult(id: string, options: SendOptions): Promise<void> {
  const jobId = parseJobId(id);
  await using account = await openAccount(options);
  await requireJob(account.chain, jobId);
  const { hash } = await account.emeth.accept(jobId);
  const { state } = await account.chain.job(jobId);
  if (options.json) return printJson({ jobId, state, hash });
  printLines(`${jobId} is ${state}. What it did not use is credit again; take it out with: emeth withdraw`);
}
