/** Follows a job on chain until it is verified, for `--wait`. */
import { requireJob } from '../../app/chain-job';
import { askWhy } from '../../board/client';
import type { Chain } from '../../chain/rpc/client';
import type { JobId } from '../../domain/ids';
import { type ChainState, isTerminal } from '../../domain/job';
import { systemClock } from '../../lib/clock';
import { AppError } from '../../lib/errors';
import { talk } from '../../terminal/print';

export type FollowError = { code: 'job/ended'; jobId: JobId; state: ChainState };

const POLL_MS = 1000;
/** A master has its reason within seconds, and another one only when something changed. */
const POLLS_PER_QUESTION = 5;

const descriptions: Partial<Record<ChainState, string>> = {
  REQUESTED: 'is waiting for a node',
  PROCESSING: 'is being trained',
  SUBMITTED: 'is finished and is waiting for the verifiers',
  VERIFIED: 'is verified and paid',
};

/**
 * Prints every change of a job's state until it is verified, and what the masters behind `storages` say of a
 * job that no node has taken. Throws `job/ended` when it ends in any other way.
 */
export async function followJob(
  chain: Chain,
  jobId: JobId,
  storages: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  let shown: ChainState | undefined;
  const told = new Map<string, string | undefined>();
  for (let polls = 0; ; polls++) {
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
    if (state === 'REQUESTED' && polls % POLLS_PER_QUESTION === 1) {
      for (const storageApi of storages) await tellWhy(storageApi, jobId, told, signal);
    }
    await systemClock.sleep(POLL_MS, signal);
  }
}

/** Prints why the master behind a storage has not taken a job, unless that has been `told`. */
async function tellWhy(
  storageApi: string,
  jobId: JobId,
  told: Map<string, string | undefined>,
  signal: AbortSignal,
): Promise<void> {
  const why = await askWhy(storageApi, jobId, signal);
  if (why?.reason !== undefined && why.reason !== told.get(storageApi)) {
    talk(`The master at ${storageApi} has ${why.state} it: ${why.reason.replace(/\.$/, '')}.`);
    talk(`Another node may still take it; to have the fee back now: emeth cancel ${jobId}`);
  }
  told.set(storageApi, why?.reason);
}
