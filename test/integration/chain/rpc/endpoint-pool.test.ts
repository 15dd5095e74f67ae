import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { Wallet } from 'ethers';
import { askChainId, openChain } from '../../../../src/chain/rpc/client';
import { EndpointPool } from '../../../../src/chain/rpc/endpoint-pool';
import { FailoverProvider } from '../../../../src/chain/rpc/failover-provider';
import { systemClock } from '../../../../src/lib/clock';
import { type Logger, silentLogger } from '../../../../src/lib/logger';
import { devKeys } from '../../../../src/runner/anvil';
import { ChainReader, until } from '../../../support/chain-reader';
import { type Escrow, openEscrow } from '../../../support/escrow';
import { type Lie, type LyingNode, openLyingNode } from '../../../support/forging-node';
import { openStillClock } from '../../../support/still-clock';

let escrow: Escrow;
let first: LyingNode;
let second: LyingNode;

beforeAll(async () => {
  escrow = await openEscrow();
});

beforeEach(async () => {
  const { url } = escrow.provider._getConnection();
  [first, second] = await Promise.all([openLyingNode(url), openLyingNode(url)]);
});

afterEach(() => Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]));
afterAll(() => escrow[Symbol.asyncDispose]());

/** Keeps every line that is a warning or worse. */
function openNotes(): { logger: Logger; notes: string[] } {
  const notes: string[] = [];
  const note = (message: string, fields?: object, error?: unknown) =>
    void notes.push(`${message} ${JSON.stringify(fields)} ${String(error)}`);
  return { notes, logger: { ...silentLogger, warn: note, error: note } };
}

type Deps = Parameters<typeof EndpointPool.open>[1];

/** How long a node may take. One that hangs is waited for in vain; of any other a busy machine may make a slow one. */
const patience = (lie: Lie) => (lie === 'hanging' ? 2000 : 30_000);

async function openPool(
  nodes: readonly string[],
  deps: Deps = {},
  options: { chainId?: number; answerMs?: number } = {},
) {
  const pool = await EndpointPool.open({ endpoint: nodes, answerMs: 30_000, recoverMs: 1000, ...options }, deps);
  return Object.assign(pool, { [Symbol.dispose]: () => pool.close() });
}

const headOf = async (pool: EndpointPool) => (await pool.ask<string>('eth_blockNumber', [])).by;
const questions = (node: LyingNode) => node.asked.filter((method) => method !== 'eth_chainId');

describe('several endpoints', () => {
  test('default: the first is asked, the others are left alone', async () => {
    using pool = await openPool([first.url, second.url]);
    expect(await headOf(pool)).toBe(0);
    expect(questions(second)).toEqual([]);
  });

  test.each(['dead', 'failing', 'garbled', 'hanging', 'busy'] as const)(
    'when the first is %s, the next one answers',
    async (lie) => {
      using pool = await openPool([first.url, second.url], {}, { answerMs: patience(lie) });
      await first.lie(lie);
      expect(await headOf(pool)).toBe(1);
      expect(first.lies).toBe(1);
    },
  );

  test('one that failed is left alone for a while, and asked first again afterwards', async () => {
    const { clock, pass } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    await first.lie('dead');
    await headOf(pool);
    await first.lie();
    expect(await headOf(pool)).toBe(1);
    pass(1001);
    expect(await headOf(pool)).toBe(0);
  });

  test('one that fails again is left alone for longer', async () => {
    const { clock, pass } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    await first.lie('dead');
    await headOf(pool);
    pass(1001);
    await headOf(pool);
    await first.lie();
    pass(1001);
    expect(await headOf(pool)).toBe(1);
    pass(1001);
    expect(await headOf(pool)).toBe(0);
  });

  test('one that does not know a block is not ill, but another one is asked', async () => {
    using pool = await openPool([first.url, second.url]);
    await first.lie('stale');
    await escrow.provider.send('anvil_mine', ['0x1']);
    expect((await pool.ask('eth_getBlockByNumber', ['latest', false])).by).toBe(1);
    expect(await headOf(pool)).toBe(0);
  });

  test('a node’s own error is an answer: nobody else is asked', async () => {
    using pool = await openPool([first.url, second.url]);
    await expect(pool.ask('eth_unheardOf', [])).rejects.toMatchObject({ name: 'RpcError', code: -32601 });
    expect(questions(second)).toEqual([]);
  });

  test('a revert reaches ethers as one', async () => {
    await using chain = await openChain({ endpoint: [first.url, second.url], core: escrow.core, token: escrow.token });
    const call = escrow.provider.estimateGas({ to: escrow.core, data: '0xdeadbeef' });
    await expect(call).rejects.toMatchObject({ code: 'CALL_EXCEPTION' });
    await expect(chain.provider.estimateGas({ to: escrow.core, data: '0xdeadbeef' })).rejects.toMatchObject({
      code: 'CALL_EXCEPTION',
    });
    expect(questions(second)).toEqual([]);
  });

  test('as a last resort, one is asked that was to be left out', async () => {
    using pool = await openPool([first.url, second.url]);
    const lastResort = [0];
    expect((await pool.ask('eth_blockNumber', [], { lastResort })).by).toBe(1);
    await second.lie('dead');
    expect((await pool.ask('eth_blockNumber', [], { lastResort })).by).toBe(0);
  });

  test('one that was distrusted is asked after the others for a while', async () => {
    const { clock, pass } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    pool.distrust(0, 'told of blocks that are not');
    expect(await headOf(pool)).toBe(1);
    pass(1001);
    expect(await headOf(pool)).toBe(0);
  });

  test('throws with all their reasons when none answers, without secrets', async () => {
    const { logger, notes } = openNotes();
    const secret = (url: string) => `${url.replace('http://', 'http://me:secret@')}/v3/secret?key=secret`;
    using pool = await openPool([secret(first.url), secret(second.url)], { logger });
    await Promise.all([first.lie('dead'), second.lie('garbled')]);
    const error = await pool.ask('eth_blockNumber', []).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'NoEndpointAnswers', message: expect.stringContaining(first.url) });
    expect((error as Error).message).toContain(second.url);
    expect(notes).toHaveLength(2);
    expect([...notes, String(error)].join()).not.toContain('secret');
  });

  test('the watcher goes on when the first one dies in mid run', async () => {
    await using chain = await openChain({ endpoint: [first.url, second.url], core: escrow.core, token: escrow.token });
    const reader = new ChainReader(chain).start({ fromBlock: await chain.headBlock() });
    const before = await escrow.request();
    await until(() => reader.finals.length === 1);
    await first.lie('dead');
    const after = await escrow.request();
    await until(() => reader.finals.length === 2);
    await reader.stop();
    expect(reader.finals.map(({ jobId }) => jobId)).toEqual([before, after]);
  });
});

describe('an endpoint that has enough of us', () => {
  test('is left alone for as long as it says, then asked again', async () => {
    const { clock, slept } = openStillClock(() => first.lie());
    using pool = await openPool([first.url], { clock });
    await first.lie('busy');
    await headOf(pool);
    expect(slept).toHaveLength(1);
    expect(slept[0]).toBeGreaterThanOrEqual(1000);
  });

  test('is not asked meanwhile, whoever asks', async () => {
    const { clock } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    await first.lie('busy');
    for (let i = 0; i < 3; i += 1) expect(await headOf(pool)).toBe(1);
    expect(first.lies).toBe(1);
  });

  test('is given up after a few ever longer pauses', async () => {
    const { clock, slept } = openStillClock();
    using pool = await openPool([first.url], { clock });
    await first.lie('failing');
    await expect(pool.ask('eth_blockNumber', [])).rejects.toThrow('status 500');
    expect(first.lies).toBe(5);
    expect(slept).toHaveLength(4);
    expect(slept[3]).toBeGreaterThan((slept[0] ?? 0) * 2);
  });
});

describe('chains', () => {
  test('throws chain/wrong-chain when an endpoint is of another chain than the first', async () => {
    await second.lie('wrong-chain');
    await expect(openPool([first.url, second.url])).rejects.toMatchObject({
      detail: { code: 'chain/wrong-chain', endpoint: second.url, chainId: 1, expected: 31337 },
    });
  });

  test('throws chain/wrong-chain when any endpoint is not the configured one', async () => {
    await first.lie('wrong-chain');
    await expect(openPool([first.url, second.url], {}, { chainId: 31337 })).rejects.toMatchObject({
      detail: { code: 'chain/wrong-chain', endpoint: first.url, chainId: 1, expected: 31337 },
      message: expect.stringContaining('configuration'),
    });
  });

  test('throws chain/unreachable when nobody is there, naming all', async () => {
    await Promise.all([first.lie('dead'), second.lie('dead')]);
    await expect(openPool([first.url, second.url])).rejects.toMatchObject({
      detail: { code: 'chain/unreachable', endpoint: `${first.url}, ${second.url}` },
    });
  });

  test('one that is away at start is warned of, and used once it is there', async () => {
    const { logger, notes } = openNotes();
    await first.lie('dead');
    using pool = await openPool([first.url, second.url], { logger });
    expect(notes[0]).toContain('does not answer');
    await first.lie();
    expect(await headOf(pool)).toBe(0);
  });

  test('one that turns up with another chain is dropped with a warning', async () => {
    const { logger, notes } = openNotes();
    const { clock, pass } = openStillClock();
    await first.lie('dead');
    using pool = await openPool([first.url, second.url], { logger, clock });
    await first.lie('wrong-chain');
    expect(await headOf(pool)).toBe(1);
    expect(notes.at(-1)).toContain('another chain');
    const asked = first.asked.length;
    pass(1_000_000);
    await first.lie();
    expect(await headOf(pool)).toBe(1);
    expect(first.asked).toHaveLength(asked);
  });

  test('one that comes back is asked for its chain before anything else', async () => {
    const { clock, pass } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    await first.lie('dead');
    await headOf(pool);
    await first.lie('wrong-chain');
    pass(1001);
    expect(await headOf(pool)).toBe(1);
    expect(first.asked.at(-1)).toBe('eth_chainId');
  });

  test('askChainId tells it of a single address too', async () => {
    expect(await askChainId({ endpoint: first.url })).toBe(31337);
  });
});

describe('transactions', () => {
  async function sign(nonceGap = 0): Promise<string> {
    const wallet = new Wallet(devKeys[3] ?? '', escrow.provider);
    const sent = await wallet.populateTransaction({ to: wallet.address, value: 1n });
    return wallet.signTransaction({ ...sent, nonce: (sent.nonce ?? 0) + nonceGap });
  }

  /** anvil mines at once, but takes a transaction before it has. */
  async function untilMined(hash: string): Promise<void> {
    while (!(await escrow.provider.getTransactionReceipt(hash))) await systemClock.sleep(5);
  }

  const sends = (node: LyingNode) => node.asked.filter((method) => method === 'eth_sendRawTransaction').length;

  async function openProvider(answerMs = patience('dead')) {
    const provider = new FailoverProvider(await openPool([first.url, second.url], {}, { answerMs }));
    return Object.assign(provider, { [Symbol.dispose]: () => provider.destroy() });
  }

  test('default: go to every endpoint; that the second knows one already does no harm', async () => {
    using provider = await openProvider();
    const raw = await sign();
    const hash = (await provider.send('eth_sendRawTransaction', [raw])) as string;
    await until(() => sends(first) === 1 && sends(second) === 1);
    await untilMined(hash);
    expect(await provider.getTransactionReceipt(hash)).toMatchObject({ status: 1 });
  });

  test.each(['dead', 'hanging', 'failing', 'busy'] as const)('reach the second when the first is %s', async (lie) => {
    using provider = await openProvider(patience(lie));
    await first.lie(lie);
    const raw = await sign();
    const hash = (await provider.send('eth_sendRawTransaction', [raw])) as string;
    await untilMined(hash);
    expect(await provider.getTransactionReceipt(hash)).toMatchObject({ status: 1 });
  });

  test('are not held to be missing while another endpoint has the receipt', async () => {
    using provider = await openProvider();
    await first.lie('stale');
    const hash = (await provider.send('eth_sendRawTransaction', [await sign()])) as string;
    await untilMined(hash);
    expect(await provider.getTransactionReceipt(hash)).toMatchObject({ status: 1 });
    expect(await provider.getTransactionReceipt(`0x${'12'.repeat(32)}`)).toBeNull();
  });

  test('that every endpoint refuses end with the node’s own words', async () => {
    using provider = await openProvider();
    const raw = await sign(-1);
    await expect(provider.send('eth_sendRawTransaction', [raw])).rejects.toMatchObject({ code: 'NONCE_EXPIRED' });
  });
});

test('user and password of an address go into a header, which fetch would refuse otherwise', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers);
    response.end('{"jsonrpc":"2.0","id":0,"result":"0x7a69"}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  using _pool = await openPool([`http://me:pass%20word@127.0.0.1:${port}`]);
  expect(seen[0]?.authorization).toBe(`Basic ${Buffer.from('me:pass word').toString('base64')}`);
  server.close();
  server.closeAllConnections();
});

test('closing ends what is under way', async () => {
  const pool = await EndpointPool.open({ endpoint: first.url }, { clock: systemClock });
  await first.lie('hanging');
  const asking = pool.ask('eth_blockNumber', []);
  asking.catch(() => undefined);
  await until(() => first.lies > 0);
  pool.close();
  await expect(asking).rejects.toThrow('closed');
});
