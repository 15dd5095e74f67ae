import { type Chain, openChain } from '../../../src/chain/client';
import type { CoreEvent } from '../../../src/chain/events';
import { type ChainCursor, type WatcherOptions, watchChain } from '../../../src/chain/watcher';
import { systemClock } from '../../../src/lib/clock';
import { AppError } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import { type Escrow, openEscrow } from '../../support/escrow';

let escrow: Escrow;
let chain: Chain;

beforeAll(async () => {
  escrow = await openEscrow();
  chain = await openChain({ endpoint: urlOf(escrow), core: escrow.core, token: escrow.token });
});

beforeEach(() => escrow.reset());

afterAll(async () => {
  await chain[Symbol.asyncDispose]();
  await escrow[Symbol.asyncDispose]();
});

/** What an owner of the watcher keeps in its database: the cursor and, by the log's identity, the effects. */
class Reader {
  cursor: ChainCursor | undefined;
  readonly seen: CoreEvent[] = [];
  readonly effects = new Map<string, CoreEvent>();
  /** [from, to] of every question for events. */
  readonly asked: [number, number][] = [];
  private readonly aborter = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly reads: Pick<Chain, 'headBlock' | 'events' | 'blockHash'> = chain,
    private readonly onBatch: () => void = () => undefined,
  ) {}

  start(options: Partial<WatcherOptions> = {}): this {
    const deps = {
      chain: {
        headBlock: () => this.reads.headBlock(),
        blockHash: (number: number) => this.reads.blockHash(number),
        events: (from: number, to: number) => {
          this.asked.push([from, to]);
          return this.reads.events(from, to);
        },
      },
      loadCursor: async () => this.cursor,
      onBatch: async (events: readonly CoreEvent[], cursor: ChainCursor) => {
        this.onBatch();
        this.seen.push(...events);
        for (const event of events) this.effects.set(`${event.blockHash}:${event.logIndex}`, event);
        this.cursor = cursor;
      },
      clock: systemClock,
      logger: silentLogger,
    };
    this.running = watchChain({ confirmations: 0, pollMs: 10, ...options }, deps, this.aborter.signal);
    return this;
  }

  /** Waits until a block was read, the head by default. */
  async reach(block?: number): Promise<void> {
    const target = block ?? (await chain.headBlock());
    await until(() => (this.cursor?.number ?? -1) >= target);
  }

  async stop(): Promise<void> {
    this.aborter.abort();
    await this.running;
  }
}

describe('watchChain', () => {
  test('default: hands over every event once and in order, then follows the head', async () => {
    const first = await escrow.request();
    const reader = new Reader().start();
    await reader.reach();
    const second = await escrow.request();
    await escrow.send('requester', 'cancel', first);
    await reader.reach();
    await reader.stop();
    expect(reader.seen.map(({ type, jobId }) => [type, jobId])).toEqual([
      ['JobRequested', first],
      ['JobRequested', second],
      ['JobCanceled', first],
    ]);
  });

  test('when a cursor is there, goes on behind it', async () => {
    const before = new Reader().start();
    await escrow.request();
    await before.reach();
    await before.stop();
    const later = await escrow.request();
    const after = new Reader();
    after.cursor = before.cursor;
    await after.start().reach();
    await after.stop();
    expect(after.seen.map(({ jobId }) => jobId)).toEqual([later]);
  });

  test('when fromBlock is given, nothing older is asked for', async () => {
    await escrow.request();
    const head = await chain.headBlock();
    const reader = new Reader().start({ fromBlock: head });
    await reader.reach();
    await reader.stop();
    expect(reader.asked[0]).toEqual([head, head]);
    expect(reader.seen).toHaveLength(1);
  });

  test('when confirmations are wanted, leaves the newest blocks alone', async () => {
    await escrow.request();
    const head = await chain.headBlock();
    const reader = new Reader().start({ confirmations: 2 });
    await reader.reach(head - 2);
    expect(reader.seen).toEqual([]);
    await mine(2);
    await reader.reach(head);
    await reader.stop();
    expect(reader.seen).toHaveLength(1);
    expect(reader.asked.every(([, to]) => to <= head)).toBe(true);
  });

  test('when the provider refuses wide ranges, asks for narrower ones and skips nothing', async () => {
    const jobIds = [await escrow.request()];
    await mine(40);
    jobIds.push(await escrow.request());
    const narrow = {
      headBlock: () => chain.headBlock(),
      blockHash: (number: number) => chain.blockHash(number),
      events: async (from: number, to: number) => {
        if (to - from >= 10) throw new Error('query returned more than 10 blocks');
        return chain.events(from, to);
      },
    };
    const reader = new Reader(narrow).start();
    await reader.reach();
    await reader.stop();
    expect(reader.seen.map(({ jobId }) => jobId)).toEqual(jobIds);
  });

  test('survives a reorganisation: events of the new blocks are handed over, the old ones are known by their hash', async () => {
    const kept = await escrow.request();
    await mine(2);
    const reader = new Reader().start();
    await reader.reach();
    const lost = await escrow.request();
    await reader.reach();
    await escrow.provider.send('anvil_reorg', [1, []]);
    const found = await escrow.request();
    await until(() => reader.seen.at(-1)?.jobId === found);
    await reader.stop();
    // The rewind goes further back than the fork, so what stayed comes again; by its identity it is the same event.
    const jobs = [...reader.effects.values()].map(({ jobId }) => jobId);
    expect(jobs).toEqual([kept, lost, found]);
    expect(reader.cursor?.hash).toBe(await chain.blockHash(reader.cursor?.number ?? -1));
  });

  test('survives a crash between reading and storing: the batch comes again', async () => {
    await escrow.request();
    let crashes = 2;
    const reader = new Reader(chain, () => {
      crashes -= 1;
      if (crashes >= 0) throw new Error('database is locked');
    }).start();
    await reader.reach();
    await reader.stop();
    expect(reader.seen).toHaveLength(1);
  });

  test('survives a node that is away for a while', async () => {
    await escrow.request();
    let isAway = true;
    const flaky = {
      headBlock: async () => {
        if (isAway) throw new AppError({ code: 'chain/unreachable' }, 'away');
        return chain.headBlock();
      },
      blockHash: (number: number) => chain.blockHash(number),
      events: (from: number, to: number) => chain.events(from, to),
    };
    const reader = new Reader(flaky).start();
    await systemClock.sleep(50);
    expect(reader.seen).toEqual([]);
    isAway = false;
    await reader.reach();
    await reader.stop();
    expect(reader.seen).toHaveLength(1);
  });

  test('when stopped, ends without an error and reads no further', async () => {
    const reader = new Reader().start();
    await reader.reach();
    await reader.stop();
    const { length } = reader.asked;
    await escrow.request();
    expect(reader.asked).toHaveLength(length);
  });
});

const mine = (blocks: number) => escrow.provider.send('anvil_mine', [`0x${blocks.toString(16)}`]);

async function until(check: () => boolean): Promise<void> {
  while (!check()) await systemClock.sleep(5);
}

function urlOf({ provider }: Escrow): string {
  return provider._getConnection().url;
}
