/** Jobs of the chain in a store, as a storage sees them: through the events alone. */
import { applyEvents } from '../../src/app/chain-follower';
import { indexFinal } from '../../src/board/indexer';
import type { CoreEvent } from '../../src/chain/contract/events';
import { type Address, JobId, type Sha256 } from '../../src/domain/ids';
import type { Store } from '../../src/store/open';

type JobFact =
  | { type: 'JobRequested'; requester: Address; dataset: string; feeWei?: bigint; params?: string }
  | { type: 'JobProcessing'; node: Address }
  | { type: 'JobSubmitted'; node: Address; manifest: Sha256 }
  | { type: 'JobVerified' | 'JobRejected' | 'JobCanceled' };

/** Records events of job number `n`, in their order, as final. */
export async function recordJob(store: Store, n: number, ...facts: JobFact[]): Promise<JobId> {
  const jobId = JobId.parse(`0x${n.toString(16).padStart(32, '0')}`);
  for (const fact of facts) {
    const blockNumber = (await store.cursors.find('test'))?.number ?? 0;
    const cursor = { number: blockNumber + 1, hash: `0x${(blockNumber + 1).toString(16).padStart(64, '0')}` };
    const place = { blockNumber: cursor.number, blockHash: cursor.hash, txHash: cursor.hash, logIndex: 0 };
    const event = { ...place, jobId, ...eventOf(fact) } as CoreEvent;
    await store.transaction(async (tx) => {
      await applyEvents(tx, [event]);
      await indexFinal(tx, [event], cursor);
      await tx.cursors.save('test', cursor);
    });
  }
  return jobId;
}

function eventOf(fact: JobFact): object {
  if (fact.type === 'JobRequested') {
    return { feeWei: 1n, fuelLimit: 2n ** 90n, deadlineMs: 5, params: '{}', ...fact };
  }
  if (fact.type !== 'JobSubmitted') return fact;
  const { manifest, ...rest } = fact;
  const result = { resultHash: `0x${manifest}`, result: `sha256:${manifest}`, payoutRoot: `0x${'00'.repeat(32)}` };
  return { ...rest, ...result, fuelUsed: 1n, payoutWei: 1n };
}
