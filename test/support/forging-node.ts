/** An Ethereum node that leaves out, forges or refuses answers on command: a proxy before a real node. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * How a node fails. The first eight forge logs: `lagging` serves new blocks without their logs, `holey` omits
 * the logs of every second block. `mute` returns no logs and at first does not answer requests for receipts.
 * `wide-…` are the ways to refuse a range of more than WIDE blocks. `stale` stays at the present head.
 */
export type NodeFault =
  | 'empty'
  | 'truncated'
  | 'duplicated'
  | 'shuffled'
  | 'strays'
  | 'removed'
  | 'lagging'
  | 'holey'
  | 'mute'
  | 'wide-error'
  | 'wide-413'
  | 'wide-504'
  | 'wide-cut'
  | 'stale'
  | 'wrong-hash'
  | 'busy'
  | 'failing'
  | 'garbled'
  | 'hanging'
  | 'dead'
  | 'wrong-chain';

/** A node with a `wide-…` fault refuses ranges of more blocks than this. */
export const WIDE = 30;

interface RpcRequest {
  id: number;
  method: string;
  params: unknown[];
}

interface Log {
  blockNumber: string;
  address: string;
  removed: boolean;
}

/** A real node behind a proxy that forges its answers. */
export interface ForgingNode extends AsyncDisposable {
  readonly url: string;
  /** The method of every request, in order. */
  readonly asked: string[];
  /** The filter of every `eth_getLogs` request. */
  readonly filters: Record<string, string>[];
  /** Number of forged or refused answers since the last `setFault`. */
  readonly faults: number;
  /** Answers with this fault from now on, or correctly if there is none. */
  setFault(fault?: NodeFault): Promise<void>;
}

export async function openForgingNode(target: string): Promise<ForgingNode> {
  let fault: NodeFault | undefined;
  let faults = 0;
  let oldHead = 0;
  const asked: string[] = [];
  const filters: Record<string, string>[] = [];

  const respond = async (request: RpcRequest, response: ServerResponse) => {
    const { id, method, params } = request;
    asked.push(method);
    if (method === 'eth_getLogs') filters.push(params[0] as Record<string, string>);
    const isMute = fault === 'mute' && method === 'eth_getBlockReceipts' && countOf(asked, method) <= 8;
    if (fault && (isOutage(fault) || isRefused(fault, request) || isMute)) {
      faults += 1;
      refuse(fault, request, response);
      return;
    }
    const correct = await ask(target, method, params);
    const answer = fault ? forge(fault, request, correct, oldHead) : correct;
    if (JSON.stringify(answer) !== JSON.stringify(correct)) faults += 1;
    response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    await respond(JSON.parse(Buffer.concat(chunks).toString()) as RpcRequest, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    filters,
    get faults() {
      return faults;
    },
    async setFault(next) {
      oldHead = Number((await ask(target, 'eth_blockNumber', [])).result);
      fault = next;
      faults = 0;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

const countOf = (list: readonly string[], wanted: string) => list.filter((one) => one === wanted).length;

interface Answer {
  result?: unknown;
  error?: unknown;
}

async function ask(url: string, method: string, params: unknown[]): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const { result, error } = (await response.json()) as Answer;
  return error === undefined ? { result } : { error };
}

const outages = ['busy', 'failing', 'garbled', 'hanging', 'dead'] as const;

function isOutage(fault: NodeFault): fault is (typeof outages)[number] {
  return (outages as readonly NodeFault[]).includes(fault);
}

function isRefused(fault: NodeFault, { method, params }: RpcRequest): boolean {
  if (!fault.startsWith('wide-') || method !== 'eth_getLogs') return false;
  const { fromBlock, toBlock } = params[0] as { fromBlock?: string; toBlock?: string };
  return fromBlock !== undefined && Number(toBlock) - Number(fromBlock) >= WIDE;
}

function refuse(fault: NodeFault, { id }: RpcRequest, response: ServerResponse): void {
  if (fault === 'busy') response.writeHead(429, { 'retry-after': '1' }).end('slow down');
  if (fault === 'failing') response.writeHead(500).end('oops');
  if (fault === 'garbled') response.end('{"jsonrpc":"2.0","id":1,"result":[{"addr');
  if (fault === 'dead' || fault === 'wide-cut' || fault === 'mute') response.destroy();
  if (fault === 'wide-413') response.writeHead(413).end('too large');
  if (fault === 'wide-504') response.writeHead(504).end('<html>Gateway Time-out</html>');
  const error = { code: -32005, message: 'query returned more than 10000 results' };
  if (fault === 'wide-error') response.end(JSON.stringify({ jsonrpc: '2.0', id, error }));
}

function forge(fault: NodeFault, { method, params }: RpcRequest, correct: Answer, oldHead: number): Answer {
  if (fault === 'wrong-chain') return method === 'eth_chainId' ? { result: '0x1' } : correct;
  if (fault === 'stale') return forgetNewBlocks(method, params, correct, oldHead);
  if (fault === 'wrong-hash') return replaceBlock(method, params, correct, oldHead);
  if (method !== 'eth_getLogs' || !Array.isArray(correct.result)) return correct;
  return { result: forgeLogs(fault, correct.result as Log[], oldHead) };
}

function forgeLogs(fault: NodeFault, logs: Log[], oldHead: number): Log[] {
  const [first] = logs;
  if (fault === 'empty' || fault === 'mute') return [];
  if (fault === 'truncated') return logs.slice(0, -1);
  if (fault === 'duplicated') return [...logs, ...logs];
  if (fault === 'shuffled') return logs.toReversed();
  if (fault === 'holey') return logs.filter(({ blockNumber }) => Number(blockNumber) % 2 === 1);
  if (fault === 'lagging') return logs.filter(({ blockNumber }) => Number(blockNumber) <= oldHead);
  if (fault === 'removed') return logs.map((log) => ({ ...log, removed: true }));
  if (fault === 'strays' && first) {
    return [...logs, { ...first, address: `0x${'12'.repeat(20)}` }, { ...first, blockNumber: '0xffffff' }];
  }
  return logs;
}

/** Returns the answer that the node would have given at the old head. */
function forgetNewBlocks(method: string, params: unknown[], correct: Answer, oldHead: number): Answer {
  if (method === 'eth_blockNumber') return { result: `0x${oldHead.toString(16)}` };
  const isNewer = Number((correct.result as { number?: string } | null)?.number ?? 0) > oldHead;
  if (method === 'eth_getBlockByNumber' && isNewer) {
    return params[0] === 'latest' ? { error: { code: -32000, message: 'header not found' } } : { result: null };
  }
  const { blockNumber } = (correct.result ?? {}) as { blockNumber?: string };
  if (method === 'eth_getTransactionReceipt' && Number(blockNumber) > oldHead) return { result: null };
  if (method !== 'eth_getLogs' || !Array.isArray(correct.result)) return correct;
  return { result: forgeLogs('lagging', correct.result as Log[], oldHead) };
}

/** Replaces the hash of the block at the old head. */
function replaceBlock(method: string, params: unknown[], correct: Answer, oldHead: number): Answer {
  if (method !== 'eth_getBlockByNumber' || Number(params[0]) !== oldHead) return correct;
  return { result: { ...(correct.result as object), hash: `0x${'66'.repeat(32)}` } };
}
