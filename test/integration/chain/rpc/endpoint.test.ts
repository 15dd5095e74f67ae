/** Health of one endpoint without a pool around it: failures, pauses, recovery and the check of its chain. */
import { Endpoint } from '../../../../src/chain/rpc/endpoint';
import { EndpointTrouble } from '../../../../src/chain/rpc/rpc';
import { silentLogger } from '../../../../src/lib/logger';
import { type JsonServer, openJsonServer, type Scripted } from '../../../support/json-server';
import { openStillClock, type StillClock } from '../../../support/still-clock';

const CHAIN = 7;
const RECOVER_MS = 1000;
const head: Scripted = { body: { result: '0x10' } };
const failing: Scripted = { status: 500 };
const payload = { id: 1, jsonrpc: '2.0', method: 'eth_blockNumber', params: [] } as const;
const signal = new AbortController().signal;

let server: JsonServer;
let time: StillClock;
let endpoint: Endpoint;
/** The server's answers: to `eth_chainId`, and to every other method. */
let chainId: string;
let answer: Scripted;

beforeEach(async () => {
  chainId = `0x${CHAIN}`;
  answer = head;
  server = await openJsonServer((method) => (method === 'eth_chainId' ? { body: { result: chainId } } : answer));
  time = openStillClock();
  const settings = { answerMs: 30_000, recoverMs: RECOVER_MS, troubleLevel: 'warn' } as const;
  endpoint = new Endpoint(0, server.url, settings, { clock: time.clock, logger: silentLogger });
});

afterEach(() => server[Symbol.asyncDispose]());

const post = () => endpoint.post(payload, CHAIN, signal);
const outcome = () => post().then(() => 'answered' as const, kindOf);

function kindOf(error: unknown): string {
  if (error instanceof EndpointTrouble) return error.kind;
  throw error;
}

describe('chain of an endpoint', () => {
  test('first requests: its chain is asked for once', async () => {
    expect(await post()).toMatchObject({ result: '0x10' });
    await post();
    expect(server.asked).toEqual(['eth_chainId', 'eth_blockNumber', 'eth_blockNumber']);
  });

  test('chain confirmed by the caller: not asked for again', async () => {
    endpoint.confirmChain();
    await post();
    expect(server.asked).toEqual(['eth_blockNumber']);
  });

  test('after a failure: its chain is asked for again', async () => {
    await post();
    endpoint.noteFailure(new EndpointTrouble('broken', 'for a test'));
    await post();
    expect(server.asked.slice(2)).toEqual(['eth_chainId', 'eth_blockNumber']);
  });

  test('another chain: unusable for good, and not asked any more', async () => {
    chainId = '0x1';
    expect(await outcome()).toBe('broken');
    expect(endpoint.isUsable).toBe(false);
    chainId = `0x${CHAIN}`;
    time.pass(1_000_000);
    expect(await outcome()).toBe('broken');
    expect(server.asked).toEqual(['eth_chainId']);
  });
});

describe('health of an endpoint', () => {
  test('one failure: unhealthy until the recovery time is over', async () => {
    answer = failing;
    expect(await outcome()).toBe('busy');
    time.pass(RECOVER_MS - 1);
    expect(endpoint.isHealthy).toBe(false);
    time.pass(1);
    expect(endpoint.isHealthy).toBe(true);
  });

  test.each([
    [2, 2],
    [3, 4],
    [5, 16],
    [9, 16],
  ])('%s failures in a row: %s times the recovery time', async (failures, factor) => {
    answer = failing;
    for (let i = 0; i < failures; i += 1) await outcome();
    time.pass(factor * RECOVER_MS - 1);
    expect(endpoint.isHealthy).toBe(false);
    time.pass(1);
    expect(endpoint.isHealthy).toBe(true);
  });

  test('answer after the recovery time: the next failure counts as the first', async () => {
    answer = failing;
    await outcome();
    await outcome();
    time.pass(2 * RECOVER_MS);
    answer = head;
    await post();
    answer = failing;
    await outcome();
    time.pass(RECOVER_MS);
    expect(endpoint.isHealthy).toBe(true);
  });

  test('answer before the recovery time: still unhealthy', async () => {
    endpoint.noteFailure(new EndpointTrouble('broken', 'for a test'));
    expect(await outcome()).toBe('answered');
    expect(endpoint.isHealthy).toBe(false);
  });

  test('error of the node itself: an answer, and healthy', async () => {
    answer = { body: { error: { code: -32_601, message: 'no such method' } } };
    expect(await post()).toMatchObject({ error: { code: -32_601 } });
    expect(endpoint.isHealthy).toBe(true);
  });

  test('node behind: throws, but stays healthy', async () => {
    answer = { body: { error: { code: -32_000, message: 'header not found' } } };
    expect(await outcome()).toBe('behind');
    expect(endpoint.isHealthy).toBe(true);
  });

  test('pause asked for: throws without a request until it is over', async () => {
    answer = { status: 429, headers: { 'retry-after': '5' } };
    await outcome();
    const asked = server.asked.length;
    time.pass(4999);
    await expect(post()).rejects.toMatchObject({ kind: 'busy', retryAfterMs: 1 });
    expect(server.asked).toHaveLength(asked);
    time.pass(1);
    answer = head;
    expect(await outcome()).toBe('answered');
  });
});
