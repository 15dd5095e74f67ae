/** How a fresh master finds the open jobs on a board instead of reading the whole chain. */
import { fetchOpenJobs } from '../board/client';
import { requestsIn } from '../chain/acts/requests';
import type { Chain } from '../chain/rpc/client';
import type { Logger } from '../lib/logger';
import type { Store } from '../store/open';
import { applyEvents } from './chain-follower';

/**
 * Puts the jobs that a board lists as open into the queue, so that a fresh master sees them before it has
 * read the chain's past. The board only says where to look: each job is read from the chain itself. Goes on
 * without a board that does not answer.
 */
export async function takeOpenJobs(
  boardUrl: string,
  { chain, store, logger, signal }: { chain: Chain; store: Store; logger: Logger; signal: AbortSignal },
): Promise<void> {
  try {
    const requests = await fetchOpenJobs(boardUrl, {
      verify: async (jobId, txHash) => (await requestsIn(chain, txHash)).find((request) => request.jobId === jobId),
      logger,
      signal,
    });
    await applyEvents(store, requests);
    logger.info('Open jobs taken over from the board', { url: boardUrl, jobs: requests.length });
  } catch (error) {
    if (signal.aborted) return;
    logger.warn('The board cannot be read; going on with the chain alone', { url: boardUrl }, error);
  }
}
