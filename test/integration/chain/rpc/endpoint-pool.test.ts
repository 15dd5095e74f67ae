/** Several endpoints used as one: failover, pauses, checks of the chain, and transactions sent to all. */
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
import { type ForgingNode, type NodeFault, openForgingNode } from '../../../support/forging-node';
import { openStillClock } from '../../../support/still-clock';

let escrow: Escrow;
let first: ForgingNode;
let second: ForgingNode;

beforeAll(async () => {
  escrow = await openEscrow();
});

beforeEach(async () => {
  const { url } = escrow.provider._getConnection();
  [first, second] = await Promise.all([openForgingNode(url), openForgingNode(url)]);
});

afterEach(() => Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]));
afterAll(() => escrow[Symbol.asyncDispose]());

/** Opens a logger that keeps every warning and error. */
function openLogLines(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const keep = (message: string, fields?: object, error?: unknown) =>
    void lines.push(`${message} ${JSON.stringify(fields)} ${String(error)}`);
  return { lines, logger: { ...silentLogger, warn: keep, error: keep } };
}

type Deps = Parameters<typeof EndpointPool.open>[1];

/** Timeout of a request in ms: short where the node hangs, otherwise long enough for a busy machine. */
const answerMsFor = (fault: NodeFault) => (fault === 'hanging' ? 2000 : 30_000);

async function openPool(
  nodes: readonly string[],
  deps: Deps = {},
  options: { chainId?: number; answerMs?: number } = {},
) {
  const pool = await EndpointPool.open({ endpoint: nodes, answerMs: 30_000, recoverMs: 1000, ...options }, deps);
  return Object.assign(pool, { [Symbol.dispose]: () => pool.close() });
}

const headOf = async (pool: EndpointPool) => (await pool.ask<string>('eth_blockNumber', [])).by;
const requestsBeyondChainId = (node: ForgingNode) => node.asked.filter((method) => method !== 'eth_chainId');

describe('several endpoints', () => {
  test('default: the first is asked, the others are not', async () => {
    using pool = await openPool([first.url, second.url]);
    expect(await headOf(pool)).toBe(0);
    expect(requestsBeyondChainId(second)).toEqual([]);
  });

  test.each(['dead', 'failing', 'garbled', 'hanging', 'busy'] as const)(
    'first %s: the next one answers',
    async (fault) => {
      using pool = await openPool([first.url, second.url], {}, { answerMs: answerMsFor(fault) });
      await first.setFault(fault);
      expect(await headOf(pool)).toBe(1);
      expect(first.faults).toBe(1);
    },
  );

  test('failed endpoint: unused for a while, then asked first again', async () => {
    const { clock, pass } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    await first.setFault('dead');
    await headOf(pool);
    await first.setFault();
    expect(await headOf(pool)).toBe(1);
    pass(1001);
    expect(await headOf(pool)).toBe(0);
  });

  test('second failure: unused for longer', async () => {
    const { clock, pass } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    await first.setFault('dead');
    await headOf(pool);
    pass(1001);
    await headOf(pool);
    await first.setFault();
    pass(1001);
    expect(await headOf(pool)).toBe(1);
    pass(1001);
    expect(await headOf(pool)).toBe(0);
  });

  test('block unknown to the first: another is asked, the first stays healthy', async () => {
    using pool = await openPool([first.url, second.url]);
    await first.setFault('stale');
    await escrow.provider.send('anvil_mine', ['0x1']);
    expect((await pool.ask('eth_getBlockByNumber', ['latest', false])).by).toBe(1);
    expect(await headOf(pool)).toBe(0);
  });

  test('error from the node itself: an answer, no other endpoint is asked', async () => {
    using pool = await openPool([first.url, second.url]);
    await expect(pool.ask('eth_unheardOf', [])).rejects.toMatchObject({ name: 'RpcError', code: -32601 });
    expect(requestsBeyondChainId(second)).toEqual([]);
  });

  test('revert: reaches ethers as CALL_EXCEPTION', async () => {
    await using chain = await openChain({ endpoint: [first.url, second.url], core: escrow.core, token: escrow.token });
    const call = escrow.provider.estimateGas({ to: escrow.core, data: '0xdeadbeef' });
    await expect(call).rejects.toMatchObject({ code: 'CALL_EXCEPTION' });
    await expect(chain.provider.estimateGas({ to: escrow.core, data: '0xdeadbeef' })).rejects.toMatchObject({
      code: 'CALL_EXCEPTION',
    });
    expect(requestsBeyondChainId(second)).toEqual([]);
  });

  test('lastResort: asked only when no other endpoint answers', async () => {
    using pool = await openPool([first.url, second.url]);
    const lastResort = [0];
    expect((await pool.ask('eth_blockNumber', [], { lastResort })).by).toBe(1);
    await second.setFault('dead');
    expect((await pool.ask('eth_blockNumber', [], { lastResort })).by).toBe(0);
  });

  test('distrusted endpoint: asked after the others for a while', async () => {
    const { clock, pass } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    pool.distrust(0, 'returned blocks that do not exist');
    expect(await headOf(pool)).toBe(1);
    pass(1001);
    expect(await headOf(pool)).toBe(0);
  });

  test('no endpoint answers: throws with every reason and no secrets', async () => {
    const { logger, lines } = openLogLines();
    const secret = (url: string) => `${url.replace('http://', 'http://me:secret@')}/v3/secret?key=secret`;
    using pool = await openPool([secret(first.url), secret(second.url)], { logger });
    await Promise.all([first.setFault('dead'), second.setFault('garbled')]);
    const error = await pool.ask('eth_blockNumber', []).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'NoEndpointAnswers', message: expect.stringContaining(first.url) });
    expect((error as Error).message).toContain(second.url);
    expect(lines).toHaveLength(2);
    expect([...lines, String(error)].join()).not.toContain('secret');
  });

  test('first endpoint dies under a watcher: reading goes on', async () => {
    await using chain = await openChain({ endpoint: [first.url, second.url], core: escrow.core, token: escrow.token });
    const reader = new ChainReader(chain).start({ fromBlock: await chain.headBlock() });
    const before = await escrow.request();
    await until(() => reader.finals.length === 1);
    await first.setFault('dead');
    const after = await escrow.request();
    await until(() => reader.finals.length === 2);
    await reader.stop();
    expect(reader.finals.map(({ jobId }) => jobId)).toEqual([before, after]);
  });
});

describe('pauses', () => {
  test('single endpoint asks for a pause: waits that long, then asks again', async () => {
    const { clock, slept } = openStillClock(() => first.setFault());
    using pool = await openPool([first.url], { clock });
    await first.setFault('busy');
    await headOf(pool);
    expect(slept).toHaveLength(1);
    expect(slept[0]).toBeGreaterThanOrEqual(1000);
  });

  test('pause with another endpoint there: not asked by any request', async () => {
    const { clock } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    await first.setFault('busy');
    for (let i = 0; i < 3; i += 1) expect(await headOf(pool)).toBe(1);
    expect(first.faults).toBe(1);
  });

  test('failure after failure: given up after a few growing pauses', async () => {
    const { clock, slept } = openStillClock();
    using pool = await openPool([first.url], { clock });
    await first.setFault('failing');
    await expect(pool.ask('eth_blockNumber', [])).rejects.toThrow('fails (HTTP 500');
    expect(first.faults).toBe(5);
    expect(slept).toHaveLength(4);
    expect(slept[3]).toBeGreaterThan((slept[0] ?? 0) * 2);
  });
});

describe('chains', () => {
  test('endpoints on different chains: throws chain/wrong-chain', async () => {
    await second.setFault('wrong-chain');
    await expect(openPool([first.url, second.url])).rejects.toMatchObject({
      detail: { code: 'chain/wrong-chain', endpoint: second.url, chainId: 1, expected: 31337 },
    });
  });

  test('endpoint on another chain than configured: throws chain/wrong-chain', async () => {
    await first.setFault('wrong-chain');
    await expect(openPool([first.url, second.url], {}, { chainId: 31337 })).rejects.toMatchObject({
      detail: { code: 'chain/wrong-chain', endpoint: first.url, chainId: 1, expected: 31337 },
      message: expect.stringContaining('configuration'),
    });
  });

  test('no endpoint answers at start: throws chain/unreachable, naming all', async () => {
    await Promise.all([first.setFault('dead'), second.setFault('dead')]);
    await expect(openPool([first.url, second.url])).rejects.toMatchObject({
      detail: { code: 'chain/unreachable', endpoint: `${first.url}, ${second.url}` },
    });
  });

  test('endpoint away at start: warned of, and used once it answers', async () => {
    const { logger, lines } = openLogLines();
    await first.setFault('dead');
    using pool = await openPool([first.url, second.url], { logger });
    expect(lines[0]).toContain('does not answer');
    await first.setFault();
    expect(await headOf(pool)).toBe(0);
  });

  test('late endpoint on another chain: dropped with a warning', async () => {
    const { logger, lines } = openLogLines();
    const { clock, pass } = openStillClock();
    await first.setFault('dead');
    using pool = await openPool([first.url, second.url], { logger, clock });
    await first.setFault('wrong-chain');
    expect(await headOf(pool)).toBe(1);
    expect(lines.at(-1)).toContain('another chain');
    const asked = first.asked.length;
    pass(1_000_000);
    await first.setFault();
    expect(await headOf(pool)).toBe(1);
    expect(first.asked).toHaveLength(asked);
  });

  test('endpoint that recovers: asked for its chain before anything else', async () => {
    const { clock, pass } = openStillClock();
    using pool = await openPool([first.url, second.url], { clock });
    await first.setFault('dead');
    await headOf(pool);
    await first.setFault('wrong-chain');
    pass(1001);
    expect(await headOf(pool)).toBe(1);
    expect(first.asked.at(-1)).toBe('eth_chainId');
  });

  test('askChainId with a single address: its chain id', async () => {
    expect(await askChainId({ endpoint: first.url })).toBe(31337);
  });
});

describe('transactions', () => {
  async function sign(nonceGap = 0): Promise<string> {
    const wallet = new Wallet(devKeys[3] ?? '', escrow.provider);
    const sent = await wallet.populateTransaction({ to: wallet.address, value: 1n });
    return wallet.signTransaction({ ...sent, nonce: (sent.nonce ?? 0) + nonceGap });
  }

  /** Waits for the receipt: anvil mines at once, but accepts a transaction slightly earlier. */
  async function untilMined(hash: string): Promise<void> {
    while (!(await escrow.provider.getTransactionReceipt(hash))) await systemClock.sleep(5);
  }

  const sends = (node: ForgingNode) => node.asked.filter((method) => method === 'eth_sendRawTransaction').length;

  async function openProvider(answerMs = answerMsFor('dead')) {
    const provider = new FailoverProvider(await openPool([first.url, second.url], {}, { answerMs }));
    return Object.assign(provider, { [Symbol.dispose]: () => provider.destroy() });
  }

  test('default: sent to every endpoint, and harmless where already known', async () => {
    using provider = await openProvider();
    const raw = await sign();
    const hash = (await provider.send('eth_sendRawTransaction', [raw])) as string;
    await until(() => sends(first) === 1 && sends(second) === 1);
    await untilMined(hash);
    expect(await provider.getTransactionReceipt(hash)).toMatchObject({ status: 1 });
  });

  test.each(['dead', 'hanging', 'failing', 'busy'] as const)('first %s: sent through the second', async (fault) => {
    using provider = await openProvider(answerMsFor(fault));
    await first.setFault(fault);
    const raw = await sign();
    const hash = (await provider.send('eth_sendRawTransaction', [raw])) as string;
    await untilMined(hash);
    expect(await provider.getTransactionReceipt(hash)).toMatchObject({ status: 1 });
  });

  test('receipt only at the second: found', async () => {
    using provider = await openProvider();
    await first.setFault('stale');
    const hash = (await provider.send('eth_sendRawTransaction', [await sign()])) as string;
    await untilMined(hash);
    expect(await provider.getTransactionReceipt(hash)).toMatchObject({ status: 1 });
    expect(await provider.getTransactionReceipt(`0x${'12'.repeat(32)}`)).toBeNull();
  });

  test('refused by every endpoint: throws the node’s own error', async () => {
    using provider = await openProvider();
    const raw = await sign(-1);
    await expect(provider.send('eth_sendRawTransaction', [raw])).rejects.toMatchObject({ code: 'NONCE_EXPIRED' });
  });
});

test('user and password in a URL: sent as a header, since fetch refuses them', async () => {
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

test('close during a request: it ends with an error', async () => {
  const pool = await EndpointPool.open({ endpoint: first.url }, { clock: systemClock });
  await first.setFault('hanging');
  const asking = pool.ask('eth_blockNumber', []);
  asking.catch(() => undefined);
  await until(() => first.faults > 0);
  pool.close();
  await expect(asking).rejects.toThrow('closed');
});
