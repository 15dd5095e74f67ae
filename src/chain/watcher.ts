import type { Clock } from '../lib/clock';
import { errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Chain } from './client';
import type { CoreEvent } from './events';
import { type ChainCursor, type FinalOptions, FinalReader } from './final-reader';
import { LogReader } from './log-reader';
import { LogSource } from './log-source';
import { type TentativeBatch, TentativeReader } from './tentative-reader';

export interface WatcherOptions extends FinalOptions {
  pollMs: number;
}

export interface WatcherDeps {
  chain: Pick<Chain, 'core' | 'endpoints'>;
  clock: Clock;
  logger: Logger;
  /** Where the reader stood when it last ended. */
  loadCursors(): Promise<{ tentative?: ChainCursor | undefined; final?: ChainCursor | undefined }>;
  /**
   * Takes over events that are not final yet. All told before about blocks ≥ `from` is void; delete it in the same transaction in
   * which events and cursor are stored. A batch may come twice after a crash. Who leaves this out reads final blocks only.
   */
  onTentative?(batch: TentativeBatch): Promise<void>;
  /**
   * Takes over final events, each told once and in order. Effects and cursor must be stored together: where the transaction fails,
   * the batch comes again. What was told tentatively about blocks up to the cursor is void from here on.
   */
  onFinal(events: readonly CoreEvent[], cursor: ChainCursor): Promise<void>;
}

/** Every so many failures in a row one is told again: a node that is away for an hour is a few lines in the log, not thousands. */
const FAILURES_A_LINE = 100;

/**
 * Reads the contract's events until the signal: final ones once and for ever, and above them, if wanted, those that a
 * reorganisation may still take back. A node that is unreachable, behind or lying is waited for; nothing is skipped or doubled.
 * Throws `chain/reorg-beyond-final` when what was final has changed.
 */
export async function watchChain(options: WatcherOptions, deps: WatcherDeps, signal: AbortSignal): Promise<void> {
  const { clock, logger } = deps;
  const step = await openReaders(options, deps, signal);
  let failures = 0;
  while (!signal.aborted) {
    const outcome = await step().catch((error: unknown) => ({ error }));
    if (signal.aborted) return;
    if (typeof outcome === 'object') {
      tellFailure(outcome.error, failures, logger);
      failures += 1;
    } else {
      if (failures > 0) logger.info('Chain is read again', { failures });
      failures = 0;
      if (!outcome) continue;
    }
    await clock.sleep(options.pollMs, signal).catch(() => undefined);
  }
}

/** Throws what no patience mends. */
function tellFailure(error: unknown, failuresBefore: number, logger: Logger): void {
  if (errorCode(error) === 'chain/reorg-beyond-final') throw error;
  const level = failuresBefore % FAILURES_A_LINE === 0 ? 'warn' : 'debug';
  logger[level]('Chain could not be read; trying again', { failures: failuresBefore + 1 }, error);
}

/** A look at the chain; true when it has no more to tell yet. */
async function openReaders(
  options: WatcherOptions,
  { chain, logger, loadCursors, onFinal, onTentative }: WatcherDeps,
  signal: AbortSignal,
): Promise<() => Promise<boolean>> {
  const reader = new LogReader(new LogSource(chain.endpoints, chain.core, signal), options.fromBlock);
  const cursors = await loadCursors();
  const final = new FinalReader(cursors.final, options, { reader, logger, onFinal });
  if (!onTentative) return () => final.step();
  const deps = { reader, logger, onTentative, checkFinal: () => final.checkCursor() };
  const tentative = new TentativeReader(cursors.tentative, options.fromBlock ?? 0, deps);
  return async () => (await final.step()) && tentative.step(final.cursor);
}
