import type { JobId } from '../../domain/ids';
import type { Share } from '../../domain/shares';
import type { Chain } from '../rpc/client';
import type { Emeth } from './emeth';
import { buildPayouts } from './payouts';
import { cutClaims } from './withdrawal-parts';

/** The longest list that the contract pays in one call. */
const MAX_PAYEES = 16;

/**
 * Credits everybody of a verified job's payout list who is not credited yet. Anybody may do that, and a worker that withdraws does it for
 * itself: who was faster, for all or for some, has done a part of our work. Throws `chain/reverted` when that happens while we look;
 * then it helps to look again.
 */
export async function payAll(
  chain: Pick<Chain, 'job'>,
  emeth: Emeth,
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
