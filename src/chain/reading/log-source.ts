/** Chain headers and the logs of one contract, as Ethereum nodes report them. */
import type { Address } from '../../domain/ids';
import type { RawLog } from '../contract/logs';
import { type Answer, type AskOptions, type EndpointPool, NoEndpointAnswers } from '../rpc/endpoint-pool';
import { type Finality, finalNumber } from '../rpc/finality';
import { RpcError } from '../rpc/rpc';

/** The header of a chain block, as far as a reader needs it. */
export interface ChainHeader {
  number: number;
  hash: string;
  parentHash: string;
  /** 256 bytes of hex that show which addresses may have logs in the block. */
  logsBloom: string;
}

export type NodeLog = RawLog & { removed?: boolean | undefined };

/** Logs in order and without duplicates, and the number of the endpoint that returned them. */
export interface Reading {
  logs: NodeLog[];
  by: number;
}

/** Two answers that should be equal differ, or one cannot be true. Asking again, or for less, may help. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement';
}

/** The node does not know the block or its receipts yet. */
export class NotReady extends Error {
  override readonly name = 'NotReady';
}

type Nodes = Pick<EndpointPool, 'ask' | 'distrust' | 'size' | 'nameOf'>;

const HEADERS_AT_ONCE = 8;
const MAX_TIMEOUTS = 20;

/**
 * Throws for an answer that does not fit its question. Whether a fitting answer is true, `LogReader` checks.
 */
export class LogSource {
  /** How often in a row `unlessRefused` got no answer from any node. */
  private timeouts = 0;

  constructor(
    private readonly nodes: Nodes,
    readonly address: Address,
    private readonly signal: AbortSignal,
  ) {}

  /** Returns the number of the newest block. */
  async headNumber(options: AskOptions = {}): Promise<Answer<number>> {
    const { result, by } = await this.ask<string>('eth_blockNumber', [], options);
    return { result: requireNumber(result), by };
  }

  /** Number of endpoints. */
  get nodeCount(): number {
    return this.nodes.size;
  }

  /** Returns the newest block. */
  async head(): Promise<ChainHeader> {
    return parseHeader((await this.ask<RawHeader>('eth_getBlockByNumber', ['latest', false])).result);
  }

  /** Returns the number of the newest final block by this rule; `head` is asked where blocks are counted. */
  finalNumber(finality: Finality, head: () => Promise<number>): Promise<number> {
    return finalNumber(finality, this.nodes, head, this.signal);
  }

  /** Throws `NotReady` for a block that the node does not know. */
  async block(number: number): Promise<ChainHeader> {
    return (await this.blockBy(number)).result;
  }

  /** Like `block`, with the endpoint that answered. */
  async blockBy(number: number, options: AskOptions = {}): Promise<Answer<ChainHeader>> {
    const { result, by } = await this.ask<RawHeader | null>('eth_getBlockByNumber', [toHex(number), false], options);
    if (!result) throw new NotReady(`The node does not know block ${number} yet`);
    const block = parseHeader(result);
    if (block.number !== number) throw this.distrustFor(by, `returned block ${block.number} for ${number}`);
    return { result: block, by };
  }

  /**
   * Throws unless the endpoint has exactly this block: without it, it would return no logs of it and seem to
   * disagree.
   */
  async requireSameBlock(block: ChainHeader, options: AskOptions): Promise<void> {
    const { result, by } = await this.ask<RawHeader | null>(
      'eth_getBlockByNumber',
      [toHex(block.number), false],
      options,
    );
    if (!result) {
      this.distrust(by, `does not know block ${block.number} yet`);
      throw new NotReady(`${this.nodes.nameOf(by)} does not know block ${block.number} yet`);
    }
    if (result.hash !== block.hash) throw new Disagreement(`Block ${block.number} is not the same at all endpoints`);
  }

  /** Has an endpoint that gave an untrue answer asked last for a while. */
  distrust(by: number, why: string): void {
    this.nodes.distrust(by, why);
  }

  private ask<T>(method: string, params: readonly unknown[], options: AskOptions = {}): Promise<Answer<T>> {
    return this.nodes.ask<T>(method, params, { ...options, signal: this.signal });
  }

  /** Returns the logs of the contract in blocks [from, to]. */
  async logsBetween(from: number, to: number, options: AskOptions = {}): Promise<Reading> {
    const filter = { address: this.address, fromBlock: toHex(from), toBlock: toHex(to) };
    return this.readLogs(filter, options, ({ blockNumber }) => {
      const number = Number(blockNumber ?? Number.NaN);
      return number >= from && number <= to;
    });
  }

  /** Returns the logs of the contract in one block. */
  async logsOf(blockHash: string, options: AskOptions = {}): Promise<Reading> {
    return this.readLogs({ address: this.address, blockHash }, options, (log) => log.blockHash === blockHash);
  }

  private async readLogs(
    filter: Record<string, string>,
    options: AskOptions,
    fits: (log: NodeLog) => boolean,
  ): Promise<Reading> {
    const { result, by } = await this.ask<NodeLog[] | null>('eth_getLogs', [filter], options);
    if (!Array.isArray(result)) throw this.distrustFor(by, 'returned no list of logs');
    const strays = result.filter((log) => log.removed || !this.isOfContract(log) || !fits(log));
    if (strays.length > 0) throw this.distrustFor(by, `returned ${strays.length} logs outside the question`);
    return { logs: inOrder(result), by };
  }

  /** True for a log of the contract. */
  isOfContract({ address }: { address: string }): boolean {
    return String(address).toLowerCase() === this.address;
  }

  /** Distrusts an endpoint for an untrue answer, and returns the error to throw. */
  distrustFor(by: number, what: string): Disagreement {
    this.distrust(by, what);
    return new Disagreement(`${this.nodes.nameOf(by)} ${what}`);
  }

  /** Returns the headers of these blocks, in order. */
  async blocks(numbers: readonly number[]): Promise<ChainHeader[]> {
    const blocks: ChainHeader[] = [];
    for (let i = 0; i < numbers.length; i += HEADERS_AT_ONCE) {
      blocks.push(...(await Promise.all(numbers.slice(i, i + HEADERS_AT_ONCE).map((number) => this.block(number)))));
    }
    return blocks;
  }

  /** Returns the headers of blocks [from, to]. Throws unless each is the parent of the next. */
  async chainOf(from: number, to: ChainHeader): Promise<ChainHeader[]> {
    const blocks = [...(await this.blocks(Array.from({ length: to.number - from }, (_, i) => from + i))), to];
    const broken = blocks.find((block, i) => i > 0 && block.parentHash !== blocks[i - 1]?.hash);
    if (broken) throw new Disagreement(`Block ${broken.number} is not the child of the one before`);
    return blocks;
  }

  /**
   * Counts the logs of all contracts that a node's index has for the block; undefined when every node
   * refuses.
   */
  async countAllLogs({ number }: ChainHeader): Promise<{ count: number; by: number } | undefined> {
    const at = toHex(number);
    const found = await this.unlessRefused<NodeLog[] | null>('eth_getLogs', [{ fromBlock: at, toBlock: at }]);
    return found && Array.isArray(found.result) ? { count: found.result.length, by: found.by } : undefined;
  }

  /** Returns all logs of the block from its receipts; undefined when every node refuses. */
  async receiptLogs({ number, hash }: ChainHeader): Promise<NodeLog[] | undefined> {
    const found = await this.unlessRefused<Receipt[] | null>('eth_getBlockReceipts', [toHex(number)]);
    if (!found) return undefined;
    if (!found.result) throw new NotReady(`The node has no receipts of block ${number} yet`);
    if (found.result.some(({ blockHash }) => blockHash !== hash)) {
      throw new Disagreement(`Receipts of block ${number} belong to another block of that number`);
    }
    return inOrder(found.result.flatMap(({ logs }) => logs));
  }

  /**
   * Returns undefined when nodes lack the method or refuse it; also after many timeouts, for one may only
   * mean a busy node.
   */
  private async unlessRefused<T>(method: string, params: readonly unknown[]): Promise<Answer<T> | undefined> {
    try {
      const answer = await this.ask<T>(method, params);
      this.timeouts = 0;
      return answer;
    } catch (error) {
      if (error instanceof RpcError) return undefined;
      if (!(error instanceof NoEndpointAnswers)) throw error;
      this.timeouts += 1;
      if (this.timeouts <= MAX_TIMEOUTS) throw error;
      return undefined;
    }
  }
}

interface Receipt {
  blockHash: string;
  logs: NodeLog[];
}

interface RawHeader {
  number: string;
  hash: string;
  parentHash: string;
  logsBloom: string;
}

function parseHeader({ number, hash, parentHash, logsBloom }: RawHeader): ChainHeader {
  return { number: requireNumber(number), hash, parentHash, logsBloom };
}

function requireNumber(hex: string): number {
  const number = Number(hex);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Disagreement(`The node returned ${String(hex)} instead of a number`);
}

function toHex(number: number): string {
  return `0x${number.toString(16)}`;
}

/** Sorts logs and removes duplicates. */
function inOrder(logs: readonly NodeLog[]): NodeLog[] {
  const byIdentity = new Map(logs.map((log) => [identityOf(log), log]));
  return [...byIdentity.values()].sort(
    (a, b) => Number(a.blockNumber) - Number(b.blockNumber) || Number(a.logIndex) - Number(b.logIndex),
  );
}

/** Returns a key that is equal for two answers about the same log. */
export function identityOf({ blockHash, logIndex }: NodeLog): string {
  return `${blockHash}:${Number(logIndex)}`;
}
