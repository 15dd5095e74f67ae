import { setTimeout as delay } from 'node:timers/promises';
import type { Address, JobId } from '../../domain/ids';
import { silentLogger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import { NoEndpointAnswers } from '../rpc/endpoint-pool';
import { FinalReader } from './final-reader';
import { LogReader } from './log-reader';
import { Disagreement, LogSource, NotReady } from './log-source';

/** Somebody waits for the answer; who reads for days is more patient. */
const MAX_FAILURES = 5;
const PAUSE_MS = 250;

/**
 * Every job the node ever took, oldest first; one it took twice appears once. Reads as whoever watches the chain does: in ranges
 * that get narrower where the Ethereum node refuses them, and nothing that was not said twice. Throws when that fails several times
 * in a row, and at once when no endpoint answers.
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

/** The endpoints themselves were tried again already. */
function mayPass(error: unknown): boolean {
  const isOutage = error instanceof NoEndpointAnswers && !error.isSlow;
  return (
    !isOutage && (error instanceof NoEndpointAnswers || error instanceof Disagreement || error instanceof NotReady)
  );
}
