import type { Clock } from '../lib/clock';
import { describeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Store } from '../store/open';

interface SizesDeps {
  store: Pick<Store, 'board'>;
  /** Bytes of a data set, without fetching it. Throws when they cannot be had. */
  sizeOf(reference: string): Promise<number>;
  clock: Clock;
  logger: Logger;
}

const LOOK_MS = 10_000;
const AT_ONCE = 20;
/** A server that did not tell is asked again after so long. */
const FORGET_MS = 10 * 60_000;

/**
 * Looks up how large the data sets of the newest jobs are, one after the other, until the signal: whoever wants to take a job
 * wants to know. Requesters choose the references, so what fails is left alone for a while.
 */
export async function watchSizes(deps: SizesDeps, signal: AbortSignal): Promise<void> {
  const { clock } = deps;
  const failedAtMs = new Map<string, number>();
  while (!signal.aborted) {
    for (const [reference, atMs] of failedAtMs) if (clock.now() - atMs >= FORGET_MS) failedAtMs.delete(reference);
    await lookUpAll(failedAtMs, deps, signal);
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
  }
}

async function lookUpAll(failedAtMs: Map<string, number>, deps: SizesDeps, signal: AbortSignal): Promise<void> {
  for (const reference of await deps.store.board.unsized(AT_ONCE)) {
    if (signal.aborted) return;
    if (failedAtMs.has(reference) || (await lookUp(reference, deps))) continue;
    failedAtMs.set(reference, deps.clock.now());
  }
}

async function lookUp(reference: string, { store, sizeOf, logger }: SizesDeps): Promise<boolean> {
  try {
    const bytes = await sizeOf(reference);
    // Some servers do not say, which reads as nothing.
    if (bytes > 0) await store.board.setDatasetBytes(reference, bytes);
    return bytes > 0;
  } catch (error) {
    logger.debug('Size of a data set is unknown', { reference, reason: describeError(error) });
    return false;
  }
}
