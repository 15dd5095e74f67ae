/** Credits the workers of a verified job, by one list if that is possible, else by claims. */
import type { JobId } from '../../domain/ids';
import type { Share } from '../../domain/shares';
import type { Chain } from '../rpc/client';
import type { PayActs } from './emeth';
import { buildPayouts } from './payouts';
import { cutClaims } from './withdrawal-parts';

/** The longest list that the contract pays in one call. */
const MAX_PAYEES = 16;

/**
 * Credits every payee of a verified job who is not credited yet. Anybody may do that, and a withdrawing
 * worker does it for itself, so some or all may be credited already. Throws `chain/reverted` when that
 * happens between the check and the call; another try helps.
 */
export async function payAll(
  chain: Pick<Chain, 'job'>,
  emeth: PayActs,
  { jobId, resultHash, shares }: { jobId: JobId; resultHash: string; shares: readonly Share[] },
): Promise<void> {
  const { payoutWei } = await chain.job(jobId);
  if (payoutWei === 0n) return;
  const isUntouched = payoutWei === shares.reduce((sum, { amountWei }) => sum + amountWei, 0n);
  if (isUntouched && shares.length <= MAX_PAYEES) return void (await emeth.payWorkers(jobId, resultHash, shares));
  const { root: payoutRoot, proofOf } = buildPayouts(shares);
  const ref = { jobId, resultHash, payoutRoot };
  const open = [];
  for (const share of shares) {
    const claim = { ref, share, proof: proofOf(share.index) };
    if (await emeth.canClaim(claim)) open.push(claim);
  }
  for (const part of cutClaims(open)) await emeth.claim(part);
}
