/** The owner's side of the watcher, with cursors and events in memory instead of a database. */
import type { CoreEvent } from '../../src/chain/contract/events';
import type { ChainCursor } from '../../src/chain/reading/final-reader';
import { type WatchDeps, type WatchOptions, watchChain } from '../../src/chain/reading/poll-loop';
import type { Chain } from '../../src/chain/rpc/client';
import { systemClock } from '../../src/lib/clock';
import { type Logger, silentLogger } from '../../src/lib/logger';

/** An owner of the watcher in memory: cursors, final events, and the tentative events above them. */
export class ChainReader {
  final: ChainCursor | undefined;
  tentative: ChainCursor | undefined;
  readonly finals: CoreEvent[] = [];
  /** `from` of every tentative batch. */
  readonly announced: number[] = [];
  private tentatives: CoreEvent[] = [];
  private readonly aborter = new AbortController();
  private running: Promise<void> = Promise.resolve();

  /** `onBatch` runs before a batch is kept; it may throw, as a failing database would. */
  constructor(
    private readonly chain: Pick<Chain, 'core' | 'endpoints'>,
    private readonly onBatch: () => void = () => undefined,
  ) {}

  /** Starts reading final blocks only. */
  start(options: Partial<WatchOptions> = {}, change: Partial<WatchDeps> = {}, logger: Logger = silentLogger): this {
    const deps: WatchDeps = {
      chain: this.chain,
      clock: systemClock,
      logger,
      loadCursors: async () => ({ final: this.final, tentative: this.tentative }),
      onFinal: async (events, cursor) => {
        this.onBatch();
        this.finals.push(...events);
        this.final = cursor;
        this.tentatives = this.tentatives.filter(({ blockNumber }) => blockNumber > cursor.number);
      },
      ...change,
    };
    this.running = watchChain({ confirmations: 0, pollMs: 10, ...options }, deps, this.aborter.signal);
    // `ended` and `stop` pass the error on; until they are called it must not count as unhandled.
    this.running.catch(() => undefined);
    return this;
  }

  /** Starts reading tentative blocks as well. */
  startTentative(options: Partial<WatchOptions> = {}): this {
    const onTentative: WatchDeps['onTentative'] = async ({ from, events, cursor }) => {
      this.onBatch();
      this.announced.push(from);
      this.tentatives = [...this.tentatives.filter(({ blockNumber }) => blockNumber < from), ...events];
      this.tentative = cursor;
    };
    return this.start(options, { onTentative });
  }

  /** All events known now: final ones, and the tentative ones above them. */
  get events(): CoreEvent[] {
    return [...this.finals, ...this.tentatives];
  }

  get ended(): Promise<void> {
    return this.running;
  }

  async stop(): Promise<void> {
    this.aborter.abort();
    await this.running;
  }
}

/** Waits until the check holds; the test's own timeout ends a wait in vain. */
export async function until(check: () => boolean): Promise<void> {
  while (!check()) await systemClock.sleep(5);
}
