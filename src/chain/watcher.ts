import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Chain } from './client';
import type { CoreEvent } from './events';

/** The last block that was read, and which block that was. */
export interface ChainCursor {
  number: number;
  hash: string;
}

export interface WatcherOptions {
  /** Blocks on top of a block before it is read. */
  confirmations: number;
  pollMs: number;
  /** Where to begin without a cursor. */
  fromBlock?: number | undefined;
}

export interface WatcherDeps {
  chain: Pick<Chain, 'headBlock' | 'events' | 'blockHash'>;
  /** Where the reader stood when it last ended. */
  loadCursor(): Promise<ChainCursor | undefined>;
  /**
   * Takes over the events up to the cursor. Effects and cursor must be stored together; a batch may come twice after a crash
   * or a reorganisation, so effects must be idempotent.
   */
  onBatch(events: readonly CoreEvent[], cursor: ChainCursor): Promise<void>;
  clock: Clock;
  logger: Logger;
}

const FIRST_RANGE = 2000;
/** Without a bound, growth would go on at the head, where no range is ever used up, until halving could not undo it. */
const MAX_RANGE = 100_000;
/** How far back to read again when the chain was reorganised under the cursor. */
const REWIND_BLOCKS = 64;

/**
 * Reads the contract's events block range by block range until the signal. Ranges halve when the provider refuses one and grow by
 * a fifth when it does not. A node that is unreachable or behind is waited for; nothing is skipped.
 */
export async function watchChain(options: WatcherOptions, deps: WatcherDeps, signal: AbortSignal): Promise<void> {
  const { clock, logger } = deps;
  let position: Position = { cursor: await deps.loadCursor(), range: FIRST_RANGE, isAtHead: true };
  let failures = 0;
  while (!signal.aborted) {
    try {
      position = await readNext(position, options, deps);
      if (failures > 0) logger.info('Chain is read again', { failures });
      failures = 0;
      if (!position.isAtHead) continue;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      const range = Math.max(1, Math.floor(position.range / 2));
      position = { ...position, range };
      // A node that is away for an hour is one line in the log, not thousands.
      logger[failures === 1 ? 'warn' : 'debug']('Chain could not be read; trying again', { range, failures }, error);
    }
    await clock.sleep(options.pollMs, signal).catch(() => undefined);
  }
}

interface Position {
  cursor: ChainCursor | undefined;
  /** Blocks to ask for next time. */
  range: number;
  isAtHead: boolean;
}

async function readNext(position: Position, options: WatcherOptions, deps: WatcherDeps): Promise<Position> {
  const head = (await deps.chain.headBlock()) - options.confirmations;
  const { range } = position;
  const cursor =
    position.cursor && head >= position.cursor.number ? await checkCursor(position.cursor, deps) : position.cursor;
  const from = cursor ? cursor.number + 1 : (options.fromBlock ?? 0);
  if (head < from) return { cursor, range, isAtHead: true };
  const to = Math.min(head, from + range - 1);
  const reached = await readRange(from, to, deps);
  return { cursor: reached, range: Math.min(MAX_RANGE, Math.ceil(range * 1.2)), isAtHead: to === head };
}

/** The hash is asked for before the events: a reorganisation in between then shows as a mismatch of the cursor. */
async function readRange(from: number, to: number, deps: WatcherDeps): Promise<ChainCursor> {
  const hash = await deps.chain.blockHash(to);
  if (hash === undefined) throw new Error(`The node does not know block ${to} yet`);
  const events = await deps.chain.events(from, to);
  const cursor = { number: to, hash };
  await deps.onBatch(events, cursor);
  return cursor;
}

/** The cursor, or one further back when its block is no longer in the chain. */
async function checkCursor(cursor: ChainCursor, { chain, logger }: WatcherDeps): Promise<ChainCursor | undefined> {
  const hash = await chain.blockHash(cursor.number);
  if (hash === cursor.hash) return cursor;
  if (hash === undefined) throw new Error(`The node no longer knows block ${cursor.number}`);
  const number = cursor.number - REWIND_BLOCKS;
  logger.warn('Chain was reorganised; reading again', { from: Math.max(0, number), cursor: cursor.number });
  if (number < 0) return undefined;
  return { number, hash: (await chain.blockHash(number)) ?? '' };
}
