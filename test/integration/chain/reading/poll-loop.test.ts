/** The watcher on a real chain: final and tentative blocks, restarts, crashes and reorganisations. */
import { type Chain, openChain } from '../../../../src/chain/rpc/client';
import { systemClock } from '../../../../src/lib/clock';
import { silentLogger } from '../../../../src/lib/logger';
import { openStore } from '../../../../src/store/open';
import { ChainReader, until } from '../../../support/chain-reader';
import { type Escrow, openEscrow } from '../../../support/escrow';
import { openForgingNode } from '../../../support/forging-node';
import { openScratch } from '../../../support/scratch';

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

describe('watchChain, final blocks', () => {
  test('default: every event once and in order, then the head is followed', async () => {
    const first = await escrow.request();
    const reader = new ChainReader(chain).start();
    await untilFinal(reader);
    const second = await escrow.request();
    await escrow.send('requester', 'cancel', first);
    await untilFinal(reader);
    await reader.stop();
    expect(reader.finals.map(({ type, jobId }) => [type, jobId])).toEqual([
      ['JobRequested', first],
      ['JobRequested', second],
      ['JobCanceled', first],
    ]);
  });

  test('existing cursor: reading continues after it', async () => {
    const before = new ChainReader(chain).start();
    await escrow.request();
    await untilFinal(before);
    await before.stop();
    const later = await escrow.request();
    const after = new ChainReader(chain);
    after.final = before.final;
    after.start();
    await untilFinal(after);
    await after.stop();
    expect(after.finals.map(({ jobId }) => jobId)).toEqual([later]);
  });

  test('fromBlock: no older block is requested', async () => {
    await using node = await openForgingNode(urlOf(escrow));
    await using proxied = await openAt(node.url);
    await escrow.request();
    const head = await chain.headBlock();
    const reader = new ChainReader(proxied).start({ fromBlock: head });
    await untilFinal(reader);
    await reader.stop();
    expect(reader.finals).toHaveLength(1);
    expect(node.filters.map(({ fromBlock }) => Number(fromBlock ?? head)).every((from) => from >= head)).toBe(true);
  });

  test('confirmations: the newest blocks are not read yet', async () => {
    await escrow.request();
    const head = await chain.headBlock();
    const reader = new ChainReader(chain).start({ confirmations: 2 });
    await untilFinal(reader, head - 2);
    expect(reader.final?.number).toBe(head - 2);
    expect(reader.finals).toEqual([]);
    await mine(2);
    await untilFinal(reader, head);
    await reader.stop();
    expect(reader.finals).toHaveLength(1);
  });

  test('finalized tag: takes precedence over counting confirmations', async () => {
    await escrow.request();
    const tagged = Number(((await escrow.provider.send('eth_getBlockByNumber', ['finalized', false])) as Raw).number);
    const reader = new ChainReader(chain).start({ confirmations: 0, preferTag: true });
    await untilFinal(reader, tagged);
    await systemClock.sleep(50);
    await reader.stop();
    expect(reader.final?.number).toBe(tagged);
    expect(tagged).toBeLessThan(await chain.headBlock());
  });

  test('restarts in mid back-fill: no event is skipped or doubled', async () => {
    await using scratch = await openScratch();
    await using store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
    await scatter(4, 120);
    let batches = 0;
    const seen: string[] = [];
    // Each simulated process dies after one batch, every second time before the batch is stored.
    while ((await store.cursors.findPair('reader')).final?.number !== (await chain.headBlock())) {
      const dying = new AbortController();
      const reader = new ChainReader(chain).start(
        { fromBlock: 0 },
        {
          loadCursors: () => store.cursors.findPair('reader'),
          onFinal: async (events, cursor) => {
            batches += 1;
            dying.abort();
            if (batches % 2 === 1) throw new Error('the process ended');
            await store.cursors.save('reader', cursor);
            seen.push(...events.map(({ jobId }) => jobId));
          },
        },
      );
      await until(() => dying.signal.aborted);
      await reader.stop();
    }
    expect(batches).toBeGreaterThan(2);
    expect(seen).toEqual((await expectedEvents()).map(({ jobId }) => jobId));
  });

  test('crash between reading and storing: the batch comes again', async () => {
    await escrow.request();
    let crashes = 2;
    const reader = new ChainReader(chain, () => {
      crashes -= 1;
      if (crashes >= 0) throw new Error('database is locked');
    }).start();
    await untilFinal(reader);
    await reader.stop();
    expect(reader.finals).toHaveLength(1);
  });

  test('reorganisation beyond the final block: logs an error and ends', async () => {
    await mine(5);
    await escrow.request();
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (message: string) => void errors.push(message) };
    const reader = new ChainReader(chain).start({}, {}, logger);
    await untilFinal(reader);
    await escrow.provider.send('anvil_reorg', [3, []]);
    await mine(1);
    await expect(reader.ended).rejects.toMatchObject({
      code: 'chain/reorg-beyond-final',
      message: expect.stringContaining('confirmations'),
    });
    expect(errors).toHaveLength(1);
    expect(reader.finals).toHaveLength(1);
  });

  test('chain shorter than what was read: waits and takes nothing back', async () => {
    await scatter(2, 10);
    const reader = new ChainReader(chain).start();
    await untilFinal(reader);
    const { final } = reader;
    const reached = await chain.headBlock();
    await reader.stop();
    await using node = await openForgingNode(urlOf(escrow));
    await node.setFault('stale');
    await mine(5);
    await using proxied = await openAt(node.url);
    const behind = new ChainReader(proxied);
    behind.final = { number: reached + 5, hash: (await chain.blockHash(reached + 5)) ?? '' };
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    behind.start({}, {}, logger);
    await until(() => warnings.length > 0 && node.faults > 5);
    expect(warnings).toEqual(['Chain is shorter than the part already read']);
    expect(behind.final.number).toBe(reached + 5);
    await node.setFault();
    await escrow.request();
    await untilFinal(behind);
    await behind.stop();
    expect(behind.finals).toHaveLength(1);
    expect(final?.number).toBe(reached);
  });

  test('stopped: ends without an error and reads no further', async () => {
    const reader = new ChainReader(chain).start();
    await untilFinal(reader);
    await reader.stop();
    const { final } = reader;
    await escrow.request();
    await systemClock.sleep(50);
    expect(reader.final).toEqual(final);
  });
});

describe('watchChain, tentative blocks', () => {
  test('default: the head above the final block is followed', async () => {
    const first = await escrow.request();
    const reader = new ChainReader(chain).startTentative({ confirmations: 3 });
    await untilTentative(reader);
    const second = await escrow.request();
    await untilTentative(reader);
    expect(reader.finals).toEqual([]);
    expect(reader.events.map(({ jobId }) => jobId)).toEqual([first, second]);
    await mine(3);
    await Promise.all([untilTentative(reader), untilFinal(reader, (await chain.headBlock()) - 3)]);
    await reader.stop();
    expect(reader.finals.map(({ jobId }) => jobId)).toEqual([first, second]);
    expect(reader.events).toEqual(reader.finals);
  });

  test.each([
    ['removes', false],
    ['moves', true],
  ])('ten-block reorganisation that %s an event: ends equal to a fresh scan', async (_name, moves) => {
    const { deep, shallow } = await openFollowers();
    const jobId = await escrow.request();
    await mine(2);
    const undo = await escrow.provider.send('eth_blockNumber', []);
    await escrow.send('node', 'process', jobId);
    await mine(6);
    await Promise.all([untilTentative(deep), untilTentative(shallow)]);
    expect(typesOf(deep)).toContain('JobProcessing');
    const forked = Number(undo) + 7 - 10;
    const old = await hashesFrom(forked + 1);
    deep.announced.length = 0;
    await escrow.provider.send('anvil_reorg', [10, await replay(forked + 1, moves ? 6 : undefined)]);
    if (moves) await mine(1);
    await Promise.all([untilTentative(deep), untilTentative(shallow)]);
    expect(identities(deep)).toEqual(await freshScan());
    expect(identities(shallow)).toEqual(await freshScan());
    expect(typesOf(deep).filter((type) => type === 'JobProcessing')).toHaveLength(moves ? 1 : 0);
    // anvil reproduces the same blocks up to the first missing transaction.
    const fresh = await hashesFrom(forked + 1);
    expect(deep.announced[0]).toBe(forked + 1 + old.findIndex((hash, i) => hash !== fresh[i]));
    await stopBoth(deep, shallow);
  });

  test('event removed and mined again: reported again, once', async () => {
    const { deep, shallow } = await openFollowers();
    const jobId = await escrow.request();
    await mine(12);
    await escrow.send('node', 'process', jobId);
    await mine(3);
    await untilTentative(deep);
    await escrow.provider.send('anvil_reorg', [10, []]);
    await untilTentative(deep);
    expect(typesOf(deep)).toEqual(['JobRequested']);
    await escrow.send('node', 'process', jobId);
    await Promise.all([untilTentative(deep), untilTentative(shallow)]);
    expect(typesOf(deep)).toEqual(['JobRequested', 'JobProcessing']);
    expect(identities(deep)).toEqual(await freshScan());
    await mine(12);
    await Promise.all([untilFinal(deep, (await chain.headBlock()) - 12), untilTentative(shallow)]);
    expect(deep.finals).toEqual(await expectedEvents());
    await stopBoth(deep, shallow);
  });

  test('as many confirmations as a reorganisation is deep: it is never seen', async () => {
    await scatter(2, 12);
    const reader = new ChainReader(chain).start({ confirmations: 10 });
    const lost = await escrow.request();
    await mine(9);
    await untilFinal(reader, (await chain.headBlock()) - 10);
    await escrow.provider.send('anvil_reorg', [10, []]);
    await mine(11);
    await untilFinal(reader, (await chain.headBlock()) - 10);
    await reader.stop();
    expect(reader.finals.map(({ jobId }) => jobId)).not.toContain(lost);
    expect(reader.finals).toEqual(await expectedEvents());
  });

  test('restart after a reorganisation: replaced blocks are taken back', async () => {
    await scatter(1, 12);
    await escrow.request();
    await mine(2);
    const before = new ChainReader(chain).startTentative({ confirmations: 8 });
    await untilTentative(before);
    await before.stop();
    const countBefore = before.events.length;
    await escrow.provider.send('anvil_reorg', [4, []]);
    const found = await escrow.request();
    before.announced.length = 0;
    const again = Object.assign(new ChainReader(chain), { final: before.final, tentative: before.tentative });
    again.startTentative({ confirmations: 8 });
    await untilTentative(again);
    await again.stop();
    expect(countBefore).toBe(2);
    expect(again.announced[0]).toBe((again.final?.number ?? 0) + 1);
    expect(again.events.map(({ jobId }) => jobId)).toEqual([found]);
  });

  test('restart with nothing replaced: reading continues where it was', async () => {
    await scatter(1, 12);
    const before = new ChainReader(chain).startTentative({ confirmations: 8 });
    await untilTentative(before);
    await before.stop();
    const reached = before.tentative?.number ?? 0;
    await escrow.request();
    const again = Object.assign(new ChainReader(chain), { final: before.final, tentative: before.tentative });
    again.startTentative({ confirmations: 9 });
    await untilTentative(again);
    await again.stop();
    expect(again.announced).toEqual([reached + 1]);
  });
});

test('final and tentative cursor of one reader: stored apart', async () => {
  await using scratch = await openScratch();
  await using store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
  expect(await store.cursors.findPair('reader')).toEqual({});
  await store.cursors.save('reader', { number: 7, hash: '0xaa' });
  await store.cursors.saveTentative('reader', { number: 9, hash: '0xbb' });
  await store.cursors.saveTentative('other', { number: 8, hash: '0xcc' });
  expect(await store.cursors.findPair('reader')).toEqual({
    final: { number: 7, hash: '0xaa' },
    tentative: { number: 9, hash: '0xbb' },
  });
});

interface Raw {
  number: string;
}

/** Opens one follower that rereads a ten-block reorganisation, and one whose blocks become final later. */
async function openFollowers() {
  await mine(12);
  const deep = new ChainReader(chain).startTentative({ confirmations: 11 });
  const shallow = new ChainReader(chain).startTentative({ confirmations: 25 });
  await Promise.all([untilTentative(deep), untilTentative(shallow)]);
  return { deep, shallow };
}

async function hashesFrom(number: number): Promise<string[]> {
  const hashes: string[] = [];
  for (let at = number; at <= (await chain.headBlock()); at += 1) hashes.push((await chain.blockHash(at)) ?? '');
  return hashes;
}

async function stopBoth(...readers: ChainReader[]): Promise<void> {
  await Promise.all(readers.map((reader) => reader.stop()));
}

/**
 * Returns transactions for `anvil_reorg`: those of the old blocks from `fork` on, with the last one moved to
 * block `place` of the new ones, or left out.
 */
async function replay(fork: number, place: number | undefined): Promise<[string, number][]> {
  const head = await chain.headBlock();
  const found: [string, number][] = [];
  for (let number = fork; number <= head; number += 1) {
    const block = await escrow.provider.send('eth_getBlockByNumber', [`0x${number.toString(16)}`, false]);
    for (const hash of (block as { transactions: string[] }).transactions) found.push([hash, number - fork]);
  }
  const raws: [string, number][] = [];
  for (const [hash, at] of found) raws.push([(await rawOf(hash)) as string, at]);
  const last = raws.pop();
  return last && place !== undefined ? [...raws, [last[0], place]] : raws;
}

const rawOf = (hash: string) => escrow.provider.send('eth_getRawTransactionByHash', [hash]) as Promise<string>;

const typesOf = (reader: ChainReader) => reader.events.map(({ type }) => type);
const identities = (reader: ChainReader) => reader.events.map(({ blockHash, logIndex }) => `${blockHash}:${logIndex}`);
const expectedEvents = async () => chain.events(0, await chain.headBlock());
const freshScan = async () => (await expectedEvents()).map(({ blockHash, logIndex }) => `${blockHash}:${logIndex}`);
const mine = (blocks: number) => escrow.provider.send('anvil_mine', [`0x${blocks.toString(16)}`]);

/** Requests jobs with `apart` blocks after each. */
async function scatter(jobs: number, apart: number): Promise<void> {
  for (let i = 0; i < jobs; i += 1) {
    await escrow.request();
    await mine(apart);
  }
}

async function untilFinal(reader: ChainReader, block?: number): Promise<void> {
  const target = block ?? (await chain.headBlock());
  await until(() => (reader.final?.number ?? -1) >= target);
}

/** Waits until the reader has reached the present head. */
async function untilTentative(reader: ChainReader): Promise<void> {
  const hash = await chain.blockHash(await chain.headBlock());
  await until(() => reader.tentative?.hash === hash || reader.final?.hash === hash);
}

const openAt = (endpoint: string) => openChain({ endpoint, core: escrow.core, token: escrow.token });

function urlOf({ provider }: Escrow): string {
  return provider._getConnection().url;
}
