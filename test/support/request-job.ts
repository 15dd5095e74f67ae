/** Puts a job into a queue as if the chain had requested it. */
import type { NewJob } from '../../src/domain/chain-move';
import type { Store } from '../../src/store/open';

/** Adds a job to the queue as the event of its request does. Returns whether it was new. */
export async function requestJob({ jobs }: Pick<Store, 'jobs'>, job: NewJob): Promise<boolean> {
  const added = await jobs.applyChain([{ jobId: job.id, state: 'REQUESTED', request: job }]);
  return added.length > 0;
}
