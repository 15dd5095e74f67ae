import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Claim } from '../chain/emeth';
import { JobId } from '../domain/ids';
import { readJsonLines } from '../lib/json-lines';
import type { Account } from './account';
import { findSubmission } from './chain-job';
import { talk } from './print';
import { openStorage } from './storage';

const ReceiptLine = z.object({ jobId: JobId });

/**
 * Pay of verified jobs that this account worked on, by its receipts, and that nobody has credited yet. What cannot be looked up now,
 * as its manifest is out of reach, is told and left for another time.
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

async function jobsWithReceipts(dataDir: string): Promise<Set<JobId>> {
  const path = join(dataDir, 'receipts.jsonl');
  const jobs = new Set<JobId>();
  if (!existsSync(path)) return jobs;
  // A line cut short by a crash is no receipt.
  for await (const line of readJsonLines(createReadStream(path), () => undefined)) {
    const receipt = ReceiptLine.safeParse(line);
    if (receipt.success) jobs.add(receipt.data.jobId);
  }
  return jobs;
}

async function claimsOf(jobId: JobId, account: Account, options: { storage?: string | undefined }): Promise<Claim[]> {
  const { buildPayouts } = await import('../chain/payouts.js');
  const { chain, emeth, signal } = account;
  const submission = await findSubmission(chain, jobId);
  if (!submission) return [];
  const { resultHash, payoutRoot } = submission;
  const { payouts } = await openStorage(account, options, signal).manifest(resultHash.slice(2));
  const { proofOf } = buildPayouts(payouts);
  const own = payouts.filter(({ worker, amountWei }) => worker === emeth.address && amountWei > 0n);
  const claims = own.map((share) => ({ ref: { jobId, resultHash, payoutRoot }, share, proof: proofOf(share.index) }));
  const open = await Promise.all(claims.map((claim) => emeth.canClaim(claim)));
  return claims.filter((_claim, i) => open[i]);
}
