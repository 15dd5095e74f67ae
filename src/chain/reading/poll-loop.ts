import type { Clock } from '../../lib/clock';
import { errorCode } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { CoreEvent } from '../contract/events';
import type { Chain } from '../rpc/client';
import { type ChainCursor, type FinalOptions, FinalReader } from './final-reader';
import { LogReader } from './log-reader';
import { LogSource } from './log-source';
import { ReorgReader, type TentativeBatch } from './reorg-reader';

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
   * Stores events that are not final yet. Everything given before for blocks ≥ `from` is void: delete it in the transaction that stores
   * events and cursor. A batch may come twice after a crash. Without this function only final blocks are read.
   */
  onTentative?(batch: TentativeBatch): Promise<void>;
  /**
   * Stores final events, which come once and in order. Effects and cursor must be stored in one transaction: if it fails, the batch comes
   * again. Whatever `onTentative` was given for blocks up to the cursor is void from here on.
   */
  onFinal(events: readonly CoreEvent[], cursor: ChainCursor): Promise<void>;
}

/** Of so many failures in a row one is logged as a warning, so that an hour without a node is a few lines and not thousands. */
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

/** Logs a failure. Throws `chain/reorg-beyond-final`, which no waiting can mend. */
function tellFailure(error: unknown, failuresBefore: number, logger: Logger): void {
  if (errorCode(error) === 'chain/reorg-beyond-final') throw error;
  const level = failuresBefore % FAILURES_A_LINE === 0 ? 'warn' : 'debug';
  logger[level]('Chain could not be read; trying again', { failures: failuresBefore + 1 }, error);
}

/** Returns a function that reads one step further; it gives true when there is no more to read yet. */
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
  const tentative = new ReorgReader(cursors.tentative, options.fromBlock ?? 0, deps);
  return async () => (await final.step()) && tentative.step(final.cursor);
}
