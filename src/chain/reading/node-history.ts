/** Finds every job that a node ever took, by reading the whole history of the contract once. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Address, JobId } from '../../domain/ids';
import { silentLogger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import { NoEndpointAnswers } from '../rpc/endpoint-pool';
import { FinalReader } from './final-reader';
import { LogReader } from './log-reader';
import { Disagreement, LogSource, NotReady } from './log-source';

/** A user waits for this answer, so it gives up sooner than the poll loop does. */
const MAX_FAILURES = 5;
const PAUSE_MS = 250;

/**
 * Returns every job the node ever took, oldest first; a job it took twice appears once. Reads like the poll
 * loop: in ranges that get narrower when the Ethereum node refuses them, and with every log confirmed. Throws
 * after several failures in a row, and at once when no endpoint answers.
 */
export async function jobsTakenBy(
  chain: Pick<Chain, 'core' | 'endpoints'>,
  node: Address,
  fromBlock: number,
): Promise<JobId[]> {
  const taken = new Set<JobId>();
  const source = new LogSource(chain.endpoints, chain.core, new AbortController().signal);
  const history = new FinalReader(
    undefined,
    { confirmations: 0, fromBlock },
    {
      reader: new LogReader(source, fromBlock),
      logger: silentLogger,
      async onFinal(events) {
        for (const event of events) if (event.type === 'JobProcessing' && event.node === node) taken.add(event.jobId);
      },
    },
  );
  await readToHead(history);
  return [...taken];
}

async function readToHead(history: FinalReader): Promise<void> {
  let failures = 0;
  for (;;) {
    try {
      if (await history.step()) return;
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures === MAX_FAILURES || !mayPass(error)) throw error;
      await delay(PAUSE_MS);
    }
  }
}

/** True for an error that another try may avoid. An outage is none: the pool has already retried. */
function mayPass(error: unknown): boolean {
  const isOutage = error instanceof NoEndpointAnswers && !error.isSlow;
  return (
    !isOutage && (error instanceof NoEndpointAnswers || error instanceof Disagreement || error instanceof NotReady)
  );
}
