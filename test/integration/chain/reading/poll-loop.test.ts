import { type Chain, openChain } from '../../../../src/chain/rpc/client';
import { systemClock } from '../../../../src/lib/clock';
import { silentLogger } from '../../../../src/lib/logger';
import { openStore } from '../../../../src/store/open';
import { ChainReader, until } from '../../../support/chain-reader';
import { type Escrow, openEscrow } from '../../../support/escrow';
import { openLyingNode } from '../../../support/forging-node';
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
  test('default: hands over every event once and in order, then follows the head', async () => {
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

  test('when a cursor is there, goes on behind it', async () => {
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

  test('when fromBlock is given, nothing older is asked for', async () => {
    await using node = await openLyingNode(urlOf(escrow));
    await using proxied = await openAt(node.url);
    await escrow.request();
    const head = await chain.headBlock();
    const reader = new ChainReader(proxied).start({ fromBlock: head });
    await untilFinal(reader);
    await reader.stop();
    expect(reader.finals).toHaveLength(1);
    expect(node.filters.map(({ fromBlock }) => Number(fromBlock ?? head)).every((from) => from >= head)).toBe(true);
  });

  test('when confirmations are wanted, leaves the newest blocks alone', async () => {
    await escrow.request();
    const head = await chain.headBlock();
    const reader = new ChainReader(chain).start({ confirmations: 2 });
    await untilFinal(reader, head - 2);
    expect(reader.finals).toEqual([]);
    await mine(2);
    await untilFinal(reader, head);
    await reader.stop();
    expect(reader.finals).toHaveLength(1);
  });

  test('when the chain says itself what is final, believes it rather than counting', async () => {
    await escrow.request();
    const tagged = Number(((await escrow.provider.send('eth_getBlockByNumber', ['finalized', false])) as Raw).number);
    const reader = new ChainReader(chain).start({ confirmations: 0, preferTag: true });
    await untilFinal(reader, tagged);
    await systemClock.sleep(50);
    await reader.stop();
    expect(reader.final?.number).toBe(tagged);
    expect(tagged).toBeLessThan(await chain.headBlock());
  });

  test('when started again in mid back-fill, skips and doubles nothing', async () => {
    await using scratch = await openScratch();
    await using store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
    await scatter(4, 120);
    let batches = 0;
    const seen: string[] = [];
    // Every process of ours dies after one batch, in every other case before the batch is kept.
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
    expect(seen).toEqual((await truth()).map(({ jobId }) => jobId));
  });

  test('survives a crash between reading and storing: the batch comes again', async () => {
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

  test('when the chain was reorganised beyond what was final, says so loudly and ends', async () => {
    await mine(5);
    await escrow.request();
    const said: string[] = [];
    const logger = { ...silentLogger, error: (message: string) => void said.push(message) };
    const reader = new ChainReader(chain).start({}, {}, logger);
    await untilFinal(reader);
    await escrow.provider.send('anvil_reorg', [3, []]);
    await mine(1);
    await expect(reader.ended).rejects.toMatchObject({
      code: 'chain/reorg-beyond-final',
      message: expect.stringContaining('confirmations'),
    });
    expect(said).toHaveLength(1);
    expect(reader.finals).toHaveLength(1);
  });

  test('when the chain is shorter than what was read, waits and takes nothing back', async () => {
    await scatter(2, 10);
    const reader = new ChainReader(chain).start();
    await untilFinal(reader);
    const { final } = reader;
    const reached = await chain.headBlock();
    await reader.stop();
    await using node = await openLyingNode(urlOf(escrow));
    await node.lie('stale');
    await mine(5);
    await using proxied = await openAt(node.url);
    const behind = new ChainReader(proxied);
    behind.final = { number: reached + 5, hash: (await chain.blockHash(reached + 5)) ?? '' };
    const warned: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void warned.push(message) };
    behind.start({}, {}, logger);
    await until(() => warned.length > 0 && node.lies > 5);
    expect(warned).toEqual(['Chain is shorter than what was read']);
    expect(behind.final.number).toBe(reached + 5);
    await node.lie();
    await escrow.request();
    await untilFinal(behind);
    await behind.stop();
    expect(behind.finals).toHaveLength(1);
    expect(final?.number).toBe(reached);
  });

  test('when stopped, ends without an error and reads no further', async () => {
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
  test('default: follows the head above the final block', async () => {
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
  ])('a reorganisation of ten blocks that %s an event: ends equal to a fresh scan', async (_name, moves) => {
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
    // anvil makes the same blocks again up to the first transaction that is missing.
    const fresh = await hashesFrom(forked + 1);
    expect(deep.announced[0]).toBe(forked + 1 + old.findIndex((hash, i) => hash !== fresh[i]));
    await stopBoth(deep, shallow);
  });

  test('an event that is removed and then mined again is told again, once', async () => {
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
    expect(deep.finals).toEqual(await truth());
    await stopBoth(deep, shallow);
  });

  test('a follower with as many confirmations as a reorganisation is deep never sees it', async () => {
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
    expect(reader.finals).toEqual(await truth());
  });

  test('after a restart, takes back what was replaced meanwhile', async () => {
    await scatter(1, 12);
    await escrow.request();
    await mine(2);
    const before = new ChainReader(chain).startTentative({ confirmations: 8 });
    await untilTentative(before);
    await before.stop();
    const told = before.events.length;
    await escrow.provider.send('anvil_reorg', [4, []]);
    const found = await escrow.request();
    before.announced.length = 0;
    const again = Object.assign(new ChainReader(chain), { final: before.final, tentative: before.tentative });
    again.startTentative({ confirmations: 8 });
    await untilTentative(again);
    await again.stop();
    expect(told).toBe(2);
    expect(again.announced[0]).toBe((again.final?.number ?? 0) + 1);
    expect(again.events.map(({ jobId }) => jobId)).toEqual([found]);
  });

  test('after a restart, goes on where it was if nothing was replaced', async () => {
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

test('the store keeps a reader’s two cursors apart', async () => {
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

/** One that reads all of a ten-block reorganisation again, and one that has nothing final for longer. */
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

/** Transactions for `anvil_reorg`: those of the old blocks from `fork` on, the last one moved to block `place` of the new ones. */
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
const truth = async () => chain.events(0, await chain.headBlock());
const freshScan = async () => (await truth()).map(({ blockHash, logIndex }) => `${blockHash}:${logIndex}`);
const mine = (blocks: number) => escrow.provider.send('anvil_mine', [`0x${blocks.toString(16)}`]);

/** Jobs with so many blocks between them. */
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

/** Until the reader stands on the block that is the head now. */
async function untilTentative(reader: ChainReader): Promise<void> {
  const hash = await chain.blockHash(await chain.headBlock());
  await until(() => reader.tentative?.hash === hash || reader.final?.hash === hash);
}

const openAt = (endpoint: string) => openChain({ endpoint, core: escrow.core, token: escrow.token });

function urlOf({ provider }: Escrow): string {
  return provider._getConnection().url;
}
