/** Pay that an account has earned but nobody has credited yet. */
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Account } from '../../app/account';
import { findSubmission, locationsOf } from '../../app/chain-job';
import { openStorage } from '../../app/storage';
import { openReadPass } from '../../blobs/read-pass';
import type { Claim } from '../../chain/acts/emeth';
import { buildPayouts } from '../../chain/acts/payouts';
import type { Sweep } from '../../chain/acts/withdrawal-parts';
import type { ChainJob } from '../../chain/rpc/client';
import { type Address, JobId } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { readJsonLines } from '../../lib/json-lines';
import { parseJobId } from '../../terminal/arguments';
import { talk } from '../../terminal/print';

const ReceiptLine = z.object({ jobId: JobId });

/**
 * Finds the pay of verified jobs that this account worked on, by its receipts, and that nobody has credited
 * yet. A job whose manifest is out of reach now is reported and left for another time.
 */
export async function findPendingPay(account: Account, options: { storage?: string | undefined }): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const jobId of await jobsWithReceipts(account.dataDir)) {
    const { state, payoutWei } = await account.chain.job(jobId);
    if (state !== 'VERIFIED' || payoutWei === 0n) continue;
    try {
      claims.push(...(await claimsOf(jobId, account, options)));
    } catch (error) {
      talk(`The pay of ${jobId} cannot be claimed now: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return claims;
}

/**
 * Finds what workers of these jobs of this account's node left unclaimed when their time was over. Throws
 * `usage/nothing-to-sweep` for a job that leaves nothing.
 */
export async function findUnclaimed({ chain, emeth }: Account, jobs: readonly string[]): Promise<Sweep[]> {
  const nowMs = jobs.length > 0 ? await chain.nowMs() : 0;
  return Promise.all(
    jobs.map(async (text) => {
      const jobId = parseJobId(text);
      const job = await chain.job(jobId);
      const problem = whyNotSwept(job, emeth.address, nowMs);
      if (problem === undefined) return { jobId, amountWei: job.payoutWei };
      throw new AppError(
        { code: 'usage/nothing-to-sweep', jobId },
        `Job ${jobId} has nothing to sweep: ${problem}; leave it out.`,
      );
    }),
  );
}

function whyNotSwept(
  { state, node, payoutWei, deadlineMs }: ChainJob,
  own: Address,
  nowMs: number,
): string | undefined {
  if (state !== 'VERIFIED') return `it is ${state}`;
  if (node !== own) return `its node is ${node}`;
  if (payoutWei === 0n) return 'all of its pay is claimed';
  return deadlineMs >= nowMs ? `its workers may claim until ${new Date(deadlineMs).toISOString()}` : undefined;
}

async function jobsWithReceipts(dataDir: string): Promise<Set<JobId>> {
  const path = join(dataDir, 'receipts.jsonl');
  const jobs = new Set<JobId>();
  if (!existsSync(path)) return jobs;
  // A line cut short by a crash is not a receipt.
  for await (const line of readJsonLines(createReadStream(path), () => undefined)) {
    const receipt = ReceiptLine.safeParse(line);
    if (receipt.success) jobs.add(receipt.data.jobId);
  }
  return jobs;
}

async function claimsOf(jobId: JobId, account: Account, options: { storage?: string | undefined }): Promise<Claim[]> {
  const { chain, emeth, signal } = account;
  const submission = await findSubmission(chain, jobId);
  if (!submission) return [];
  const { resultHash, payoutRoot } = submission;
  const where = { ...options, locations: locationsOf(submission), pass: openReadPass(jobId, undefined) };
  const { payouts } = await openStorage(account, where, signal).manifest(resultHash.slice(2));
  const { proofOf } = buildPayouts(payouts);
  const own = payouts.filter(({ worker, amountWei }) => worker === emeth.address && amountWei > 0n);
  const claims = own.map((share) => ({ ref: { jobId, resultHash, payoutRoot }, share, proof: proofOf(share.index) }));
  const open = await Promise.all(claims.map((claim) => emeth.canClaim(claim)));
  return claims.filter((_claim, i) => open[i]);
}
