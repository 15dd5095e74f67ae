import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What a node may do wrong. The first lines concern logs; `lagging` ones know new blocks and not their logs, `holey` ones never heard of
 * half the blocks, `mute` ones are empty and do not answer questions for receipts at first. `wide-…` is how they refuse ranges of more than WIDE blocks.
 */
export type Lie =
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

/** More blocks than a node with a `wide-…` habit searches. */
export const WIDE = 30;

interface Question {
  id: number;
  method: string;
  params: unknown[];
}

interface Log {
  blockNumber: string;
  address: string;
  removed: boolean;
}

/** A real node behind a proxy that lies on command. */
export interface LyingNode extends AsyncDisposable {
  readonly url: string;
  /** Methods it was asked for, in order. */
  readonly asked: string[];
  /** Every `eth_getLogs` it was asked for. */
  readonly filters: Record<string, string>[];
  /** Answers that were not the truth, since the last command. */
  readonly lies: number;
  /** Lies from now on; tells the truth when it is called without. */
  lie(lie?: Lie): Promise<void>;
}

export async function openLyingNode(target: string): Promise<LyingNode> {
  let lie: Lie | undefined;
  let lies = 0;
  let oldHead = 0;
  const asked: string[] = [];
  const filters: Record<string, string>[] = [];

  const tell = async (question: Question, response: ServerResponse) => {
    asked.push(question.method);
    if (question.method === 'eth_getLogs') filters.push(question.params[0] as Record<string, string>);
    const isMute = lie === 'mute' && question.method === 'eth_getBlockReceipts' && countOf(asked, question.method) <= 8;
    if (lie && (isTrouble(lie) || isRefused(lie, question) || isMute)) {
      lies += 1;
      makeTrouble(lie, question, response);
      return;
    }
    const truth = await ask(target, question.method, question.params);
    const answer = lie ? twist(lie, question, truth, oldHead) : truth;
    if (JSON.stringify(answer) !== JSON.stringify(truth)) lies += 1;
    response.end(JSON.stringify({ jsonrpc: '2.0', id: question.id, ...answer }));
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    await tell(JSON.parse(Buffer.concat(chunks).toString()) as Question, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    filters,
    get lies() {
      return lies;
    },
    async lie(next) {
      oldHead = Number((await ask(target, 'eth_blockNumber', [])).result);
      lie = next;
      lies = 0;
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

const troubles = ['busy', 'failing', 'garbled', 'hanging', 'dead'] as const;

function isTrouble(lie: Lie): lie is (typeof troubles)[number] {
  return (troubles as readonly Lie[]).includes(lie);
}

function isRefused(lie: Lie, { method, params }: Question): boolean {
  if (!lie.startsWith('wide-') || method !== 'eth_getLogs') return false;
  const { fromBlock, toBlock } = params[0] as { fromBlock?: string; toBlock?: string };
  return fromBlock !== undefined && Number(toBlock) - Number(fromBlock) >= WIDE;
}

function makeTrouble(lie: Lie, { id }: Question, response: ServerResponse): void {
  if (lie === 'busy') response.writeHead(429, { 'retry-after': '1' }).end('slow down');
  if (lie === 'failing') response.writeHead(500).end('oops');
  if (lie === 'garbled') response.end('{"jsonrpc":"2.0","id":1,"result":[{"addr');
  if (lie === 'dead' || lie === 'wide-cut' || lie === 'mute') response.destroy();
  if (lie === 'wide-413') response.writeHead(413).end('too large');
  if (lie === 'wide-504') response.writeHead(504).end('<html>Gateway Time-out</html>');
  const error = { code: -32005, message: 'query returned more than 10000 results' };
  if (lie === 'wide-error') response.end(JSON.stringify({ jsonrpc: '2.0', id, error }));
}

function twist(lie: Lie, { method, params }: Question, truth: Answer, oldHead: number): Answer {
  if (lie === 'wrong-chain') return method === 'eth_chainId' ? { result: '0x1' } : truth;
  if (lie === 'stale') return age(method, params, truth, oldHead);
  if (lie === 'wrong-hash') return falsify(method, params, truth, oldHead);
  if (method !== 'eth_getLogs' || !Array.isArray(truth.result)) return truth;
  return { result: twistLogs(lie, truth.result as Log[], oldHead) };
}

function twistLogs(lie: Lie, logs: Log[], oldHead: number): Log[] {
  const [first] = logs;
  if (lie === 'empty' || lie === 'mute') return [];
  if (lie === 'truncated') return logs.slice(0, -1);
  if (lie === 'duplicated') return [...logs, ...logs];
  if (lie === 'shuffled') return logs.toReversed();
  if (lie === 'holey') return logs.filter(({ blockNumber }) => Number(blockNumber) % 2 === 1);
  if (lie === 'lagging') return logs.filter(({ blockNumber }) => Number(blockNumber) <= oldHead);
  if (lie === 'removed') return logs.map((log) => ({ ...log, removed: true }));
  if (lie === 'strays' && first) {
    return [...logs, { ...first, address: `0x${'12'.repeat(20)}` }, { ...first, blockNumber: '0xffffff' }];
  }
  return logs;
}

/** The node as it was at the old head. */
function age(method: string, params: unknown[], truth: Answer, oldHead: number): Answer {
  if (method === 'eth_blockNumber') return { result: `0x${oldHead.toString(16)}` };
  const isNewer = Number((truth.result as { number?: string } | null)?.number ?? 0) > oldHead;
  if (method === 'eth_getBlockByNumber' && isNewer) {
    return params[0] === 'latest' ? { error: { code: -32000, message: 'header not found' } } : { result: null };
  }
  const { blockNumber } = (truth.result ?? {}) as { blockNumber?: string };
  if (method === 'eth_getTransactionReceipt' && Number(blockNumber) > oldHead) return { result: null };
  if (method !== 'eth_getLogs' || !Array.isArray(truth.result)) return truth;
  return { result: twistLogs('lagging', truth.result as Log[], oldHead) };
}

/** Another block in the place of that at the old head. */
function falsify(method: string, params: unknown[], truth: Answer, oldHead: number): Answer {
  if (method !== 'eth_getBlockByNumber' || Number(params[0]) !== oldHead) return truth;
  return { result: { ...(truth.result as object), hash: `0x${'66'.repeat(32)}` } };
}
