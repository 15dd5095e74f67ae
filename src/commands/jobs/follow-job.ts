/** Follows a job on chain until it is verified, for `--wait`. */
import { requireJob } from '../../app/chain-job';
import type { Chain } from '../../chain/rpc/client';
import type { JobId } from '../../domain/ids';
import { type ChainState, isTerminal } from '../../domain/job';
import { systemClock } from '../../lib/clock';
import { AppError } from '../../lib/errors';
import { talk } from '../../terminal/print';

export type FollowError = { code: 'job/ended'; jobId: JobId; state: ChainState };

const POLL_MS = 1000;

const descriptions: Partial<Record<ChainState, string>> = {
  REQUESTED: 'is waiting for a node',
  PROCESSING: 'is being trained',
  SUBMITTED: 'is finished and is waiting for the verifiers',
  VERIFIED: 'is verified and paid',
};

/**
 * Prints every change of a job's state until it is verified. Throws `job/ended` when it ends in any other
 * way.
 */
export async function followJob(chain: Chain, jobId: JobId, signal: AbortSignal): Promise<void> {
  let shown: ChainState | undefined;
  for (;;) {
    const { state } = await requireJob(chain, jobId);
    if (state !== shown) talk(`${jobId} ${descriptions[state] ?? `is ${state}`}.`);
    shown = state;
    if (state === 'VERIFIED') return;
    if (isTerminal(state)) {
      throw new AppError<FollowError>(
        { code: 'job/ended', jobId, state },
        `The job ${jobId} ended as ${state}; its money is credit again. See \`emeth node\`.`,
      );
    }
    await systemClock.sleep(POLL_MS, signal);
  }
}
