/** The loop that polls for new events of the contract for as long as a role runs. */
import type { Clock } from '../../lib/clock';
import { errorCode } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { CoreEvent } from '../contract/events';
import type { Chain } from '../rpc/client';
import { type ChainCursor, type FinalOptions, FinalReader } from './final-reader';
import { LogReader } from './log-reader';
import { LogSource } from './log-source';
import { ReorgReader, type TentativeBatch } from './reorg-reader';

export interface WatchOptions extends FinalOptions {
  /** Pause between two looks at the head. */
  pollMs: number;
}

export interface WatchDeps {
  chain: Pick<Chain, 'core' | 'endpoints'>;
  clock: Clock;
  logger: Logger;
  /** Loads the positions at which reading stopped. */
  loadCursors(): Promise<{ tentative?: ChainCursor | undefined; final?: ChainCursor | undefined }>;
  /**
   * Stores events that are not final yet. Everything stored before for blocks ≥ `from` is void: delete it in
   * the transaction that stores events and cursor. A batch may come twice after a crash. Without this
   * function, only final blocks are read.
   */
  onTentative?(batch: TentativeBatch): Promise<void>;
  /**
   * Stores final events, which come once and in order. Effects and cursor must be stored in one transaction:
   * if it fails, the batch comes again. Everything that `onTentative` stored for blocks up to the cursor is
   * void from then on.
   */
  onFinal(events: readonly CoreEvent[], cursor: ChainCursor): Promise<void>;
  /** Called after each step in which the chain could be read. */
  onRead?(): void | Promise<void>;
}

/**
 * Only one in this many failures in a row is a warning, so that an hour without a node takes a few lines and
 * not thousands.
 */
const FAILURES_PER_WARNING = 100;

/**
 * Reads the contract's events until the signal aborts: final ones exactly once, and above them, if wanted,
 * those that a reorganisation may still remove. Waits for nodes that are unreachable, behind or return forged
 * logs; no event is skipped or doubled. Throws `chain/reorg-beyond-final` when a final block has changed.
 */
export async function watchChain(options: WatchOptions, deps: WatchDeps, signal: AbortSignal): Promise<void> {
  const { clock, logger } = deps;
  const readers = await openReaders(options, deps, signal);
  const step = async () => {
    const isAtHead = await readers();
    await deps.onRead?.();
    return isAtHead;
  };
  let failures = 0;
  while (!signal.aborted) {
    const outcome = await step().catch((error: unknown) => ({ error }));
    if (signal.aborted) return;
    if (typeof outcome === 'object') {
      logFailure(outcome.error, failures, logger);
      failures += 1;
    } else {
      if (failures > 0) logger.info('Chain can be read again', { failures });
      failures = 0;
      if (!outcome) continue;
    }
    await clock.sleep(options.pollMs, signal).catch(() => undefined);
  }
}

/** Logs a failure. Rethrows `chain/reorg-beyond-final`, which waiting cannot fix. */
function logFailure(error: unknown, failuresBefore: number, logger: Logger): void {
  if (errorCode(error) === 'chain/reorg-beyond-final') throw error;
  const level = failuresBefore % FAILURES_PER_WARNING === 0 ? 'warn' : 'debug';
  logger[level]('Chain could not be read; trying again', { failures: failuresBefore + 1 }, error);
}

/** Returns a function that reads one step further; it returns true when there is nothing more to read yet. */
async function openReaders(
  options: WatchOptions,
  { chain, logger, loadCursors, onFinal, onTentative }: WatchDeps,
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
