/** Which blobs a worker needs for a lease that it still holds. */
import type { Address, Sha256 } from '../domain/ids';
import type { Offer } from '../protocol/link';
import type { Ledger } from '../store/ledger';
import type { Rounds } from '../store/rounds';

/** Returns shard, weights and step of a lease; nothing for one that is over, or another worker's. */
export async function findLeaseBlobs(
  { ledger, rounds }: { ledger: Pick<Ledger, 'findLease'>; rounds: Pick<Rounds, 'find'> },
  worker: Address,
  { jobId, leaseId }: NonNullable<Offer['held']>,
): Promise<Sha256[]> {
  const lease = await ledger.findLease(leaseId);
  if (lease?.state !== 'leased' || lease.worker !== worker || lease.jobId !== jobId) return [];
  const round = await rounds.find(jobId, lease.round);
  const before = await rounds.find(jobId, lease.round - 1);
  return [lease.shard, round?.theta, before?.delta].filter((name) => name !== undefined);
}
