import { getBytes, keccak256 } from 'ethers';
import type { Address } from '../domain/ids';
import { type Answer, type AskOptions, type EndpointPool, NoEndpointAnswers } from './endpoints';
import type { CoreEvent } from './events';
import { decodeLog, type RawLog } from './logs';
import { RpcError } from './rpc';

/** The head of a block, as far as a reader needs it. */
export interface Block {
  number: number;
  hash: string;
  parentHash: string;
  /** 256 bytes of hex: whose logs the block may hold. */
  logsBloom: string;
}

type Nodes = Pick<EndpointPool, 'ask' | 'distrust' | 'size' | 'nameOf'>;
type NodeLog = RawLog & { removed?: boolean | undefined };

/** Sorted, each once, and who said so. */
interface Reading {
  logs: NodeLog[];
  by: number;
}

/** Two answers that should be one are not, or one cannot be true. Asking again, or for less, may help. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement';
}

/** The node has not come as far yet. */
export class NotReady extends Error {
  override readonly name = 'NotReady';
}

/** In a range as narrow as this the bloom of every block is looked at. */
export const NARROW_BLOCKS = 64;
const HEADERS_AT_ONCE = 8;

/**
 * Reads the logs of one contract from nodes that may lie: they leave logs out, repeat and mix them, or are behind. Nothing is
 * given out that was not said twice: by two endpoints, or by one and its receipts, which nodes keep apart from their index of logs.
 */
export class LogReader {
  private readonly bloomBits: readonly number[];
  /** Of the contract; a node that does not find it in its block has lost its index. */
  private witness: NodeLog | undefined;
  /** Hashes of blocks without logs of ours although their bloom would allow it. */
  private readonly confirmedEmpty = new Set<string>();

  constructor(
    private readonly nodes: Nodes,
    private readonly address: Address,
    private readonly signal: AbortSignal,
  ) {
    this.bloomBits = bloomBitsOf(address);
  }

  /** Number of the newest block, and which endpoint said so. */
  async headNumber(options: AskOptions = {}): Promise<Answer<number>> {
    const { result, by } = await this.ask<string>('eth_blockNumber', [], options);
    return { result: requireNumber(result), by };
  }

  /** How many endpoints there are to ask. */
  get nodeCount(): number {
    return this.nodes.size;
  }

  async head(): Promise<Block> {
    return parseBlock((await this.ask<RawBlock>('eth_getBlockByNumber', ['latest', false])).result);
  }

  /** The chain's own word for what is final; undefined where it has none. */
  async finalizedNumber(): Promise<number | undefined> {
    try {
      const { result } = await this.ask<RawBlock | null>('eth_getBlockByNumber', ['finalized', false]);
      return result ? parseBlock(result).number : undefined;
    } catch (error) {
      if (error instanceof RpcError) return undefined;
      throw error;
    }
  }

  /** Throws `NotReady` for one that the node does not know. */
  async block(number: number): Promise<Block> {
    return (await this.blockBy(number)).result;
  }

  async blockBy(number: number, options: AskOptions = {}): Promise<Answer<Block>> {
    const { result, by } = await this.ask<RawBlock | null>('eth_getBlockByNumber', [toHex(number), false], options);
    if (!result) throw new NotReady(`The node does not know block ${number} yet`);
    const block = parseBlock(result);
    if (block.number !== number) throw this.liar(by, `gave block ${block.number} for ${number}`);
    return { result: block, by };
  }

  /** Has an endpoint that said something untrue asked last for a while. */
  distrust(by: number, why: string): void {
    this.nodes.distrust(by, why);
  }

  /** Events of blocks [from, to], in order. Throws `Disagreement`; `RpcError` where the node refuses the range. */
  async range(from: number, to: Block): Promise<CoreEvent[]> {
    const first = await this.logsBetween(from, to.number);
    const others = { lastResort: [first.by] };
    if (this.nodes.size > 1) await this.requireSameBlock(to, others);
    const halves = await this.readInHalves(from, to, first, others);
    for (const half of halves) if (half.by !== first.by) this.remember(half);
    requireSame(
      first.logs,
      halves.flatMap(({ logs }) => logs),
    );
    if (halves.some(({ by }) => by === first.by)) await this.confirm(from, to, first.logs);
    this.remember(first);
    return first.logs.flatMap((log) => decodeLog(log) ?? []);
  }

  /** Events of one block, which need not be final. */
  async blockEvents(block: Block): Promise<CoreEvent[]> {
    if (!this.mayHoldOurs(block) && !isBlank(block)) return [];
    const first = await this.logsOf(block.hash);
    if (first.logs.length === 0 && (isBlank(block) || this.confirmedEmpty.has(block.hash))) return [];
    const second = this.nodes.size > 1 ? await this.logsOf(block.hash, { lastResort: [first.by] }) : first;
    requireSame(first.logs, second.logs);
    if (second.by === first.by) await this.confirmBlock(block, first.logs);
    return first.logs.flatMap((log) => decodeLog(log) ?? []);
  }

  private ask<T>(method: string, params: readonly unknown[], options: AskOptions = {}): Promise<Answer<T>> {
    return this.nodes.ask<T>(method, params, { ...options, signal: this.signal });
  }

  /** A node that is behind has no logs of the newest blocks, and would seem to disagree. */
  private async requireSameBlock(block: Block, options: AskOptions): Promise<void> {
    const { result, by } = await this.ask<RawBlock | null>(
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

  /**
   * The parts meet in the middle of the logs, not of the blocks: where a node cuts its answers, whether at a number of logs or at
   * their end, the parts then bring something else than the whole.
   */
  private async readInHalves(from: number, to: Block, first: Reading, options: AskOptions): Promise<Reading[]> {
    if (from === to.number) return [await this.logsOf(to.hash, options)];
    const median = first.logs[Math.floor((first.logs.length - 1) / 2)];
    const middle = median ? Number(median.blockNumber) : Math.floor((from + to.number) / 2);
    const split = Math.min(middle, to.number - 1);
    return [await this.logsBetween(from, split, options), await this.logsBetween(split + 1, to.number, options)];
  }

  private async logsBetween(from: number, to: number, options: AskOptions = {}): Promise<Reading> {
    const filter = { address: this.address, fromBlock: toHex(from), toBlock: toHex(to) };
    return this.readLogs(filter, options, ({ blockNumber }) => {
      const number = Number(blockNumber ?? Number.NaN);
      return number >= from && number <= to;
    });
  }

  private async logsOf(blockHash: string, options: AskOptions = {}): Promise<Reading> {
    return this.readLogs({ address: this.address, blockHash }, options, (log) => log.blockHash === blockHash);
  }

  private async readLogs(
    filter: Record<string, string>,
    options: AskOptions,
    fits: (log: NodeLog) => boolean,
  ): Promise<Reading> {
    const { result, by } = await this.ask<NodeLog[] | null>('eth_getLogs', [filter], options);
    if (!Array.isArray(result)) throw this.liar(by, 'gave no list of logs');
    const strays = result.filter((log) => log.removed || !this.isOurs(log) || !fits(log));
    if (strays.length > 0) throw this.liar(by, `gave ${strays.length} logs nobody asked for`);
    return { logs: inOrder(result), by };
  }

  private isOurs({ address }: { address: string }): boolean {
    return String(address).toLowerCase() === this.address;
  }

  private liar(by: number, what: string): Disagreement {
    this.distrust(by, what);
    return new Disagreement(`${this.nodes.nameOf(by)} ${what}`);
  }

  /** What only one endpoint said is compared with what else it knows of those blocks. */
  private async confirm(from: number, to: Block, logs: readonly NodeLog[]): Promise<void> {
    if (to.number - from < NARROW_BLOCKS) {
      for (const block of await this.headersOf(from, to)) {
        const own = logs.filter(({ blockNumber }) => Number(blockNumber) === block.number);
        if (own.length > 0 || this.mayHoldOurs(block)) await this.confirmBlock(block, own);
      }
      return;
    }
    const last = logs.at(-1);
    if (last) {
      const block = await this.block(Number(last.blockNumber));
      const own = logs.filter(({ blockNumber }) => blockNumber === last.blockNumber);
      await this.confirmBlock(block, own);
    } else if (this.witness) {
      const { blockHash } = this.witness;
      const { logs: found, by } = await this.logsOf(blockHash);
      if (found.length === 0) throw this.liar(by, `has lost the logs of block ${blockHash}`);
    }
  }

  /** Heads of blocks [from, to], each the parent of the next. */
  private async headersOf(from: number, to: Block): Promise<Block[]> {
    const numbers = Array.from({ length: to.number - from }, (_, i) => from + i);
    const blocks: Block[] = [];
    for (let i = 0; i < numbers.length; i += HEADERS_AT_ONCE) {
      blocks.push(...(await Promise.all(numbers.slice(i, i + HEADERS_AT_ONCE).map((number) => this.block(number)))));
    }
    blocks.push(to);
    const broken = blocks.find((block, i) => i > 0 && block.parentHash !== blocks[i - 1]?.hash);
    if (broken) throw new Disagreement(`Block ${broken.number} is not the child of the one before`);
    return blocks;
  }

  private async confirmBlock(block: Block, logs: readonly NodeLog[]): Promise<void> {
    if (logs.some(({ blockHash }) => blockHash !== block.hash)) {
      throw new Disagreement(`Logs of block ${block.number} are of another block of that number`);
    }
    if (logs.length === 0 && this.confirmedEmpty.has(block.hash)) return;
    const again = (await this.logsInReceipts(block)) ?? (await this.logsOf(block.hash)).logs;
    requireSame(logs, again);
    if (logs.length > 0) return;
    if (this.confirmedEmpty.size > 1000) this.confirmedEmpty.clear();
    this.confirmedEmpty.add(block.hash);
  }

  /** Undefined where no node gives them: some have no such method, or refuse it to us. */
  private async logsInReceipts({ number, hash }: Block): Promise<NodeLog[] | undefined> {
    let receipts: { blockHash: string; logs: NodeLog[] }[] | null;
    try {
      receipts = (await this.ask<typeof receipts>('eth_getBlockReceipts', [toHex(number)])).result;
    } catch (error) {
      if (error instanceof RpcError || error instanceof NoEndpointAnswers) return undefined;
      throw error;
    }
    if (!receipts) throw new NotReady(`The node has no receipts of block ${number} yet`);
    if (receipts.some(({ blockHash }) => blockHash !== hash)) {
      throw new Disagreement(`Receipts of block ${number} are of another block of that number`);
    }
    return inOrder(receipts.flatMap(({ logs }) => logs).filter((log) => this.isOurs(log)));
  }

  private remember({ logs }: Reading): void {
    this.witness = logs.at(-1) ?? this.witness;
  }

  private mayHoldOurs({ logsBloom }: Block): boolean {
    const bloom = getBytes(logsBloom);
    return this.bloomBits.every((bit) => (bloom[255 - (bit >> 3)] ?? 0) & (1 << (bit & 7)));
  }
}

/** Some chains fill in no bloom, which then says nothing. */
function isBlank({ logsBloom }: Block): boolean {
  return /^0x0*$/.test(logsBloom);
}

/** The three of 2048 bits that a log of the address sets in its block's bloom. */
function bloomBitsOf(address: Address): number[] {
  const digest = getBytes(keccak256(address));
  return [0, 2, 4].map((at) => (((digest[at] ?? 0) << 8) | (digest[at + 1] ?? 0)) & 2047);
}

interface RawBlock {
  number: string;
  hash: string;
  parentHash: string;
  logsBloom: string;
}

function parseBlock({ number, hash, parentHash, logsBloom }: RawBlock): Block {
  return { number: requireNumber(number), hash, parentHash, logsBloom };
}

function requireNumber(hex: string): number {
  const number = Number(hex);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Disagreement(`The node says ${String(hex)} where a number should be`);
}

function toHex(number: number): string {
  return `0x${number.toString(16)}`;
}

/** Sorted, and each once. */
function inOrder(logs: readonly NodeLog[]): NodeLog[] {
  const byIdentity = new Map(logs.map((log) => [identityOf(log), log]));
  return [...byIdentity.values()].sort(
    (a, b) => Number(a.blockNumber) - Number(b.blockNumber) || Number(a.logIndex) - Number(b.logIndex),
  );
}

function identityOf({ blockHash, logIndex }: NodeLog): string {
  return `${blockHash}:${Number(logIndex)}`;
}

function requireSame(first: readonly NodeLog[], second: readonly NodeLog[]): void {
  const known = new Set(first.map(identityOf));
  const isSame = first.length === second.length && second.every((log) => known.has(identityOf(log)));
  if (!isSame) throw new Disagreement(`Asked twice, there were ${first.length} logs and then ${second.length}`);
}
