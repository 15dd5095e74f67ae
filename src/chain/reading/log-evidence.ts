/** Checks the logs of a single endpoint against block headers and receipts. */
import { bloomFilter, isBlank, isSelective } from './bloom';
import { type ChainHeader, Disagreement, identityOf, type LogSource, type NodeLog, NotReady } from './log-source';

/** In a range of at most this many blocks, every block is checked. */
export const NARROW_BLOCKS = 64;
/** In a wider range, only this many blocks are checked, spread over it. */
const SPOTS = 256;
const MAX_KNOWN_EMPTY = 1000;

/**
 * Nodes keep blooms and receipts apart from the index that answers queries for logs, so a damaged index shows
 * as a difference between them.
 */
export class LogEvidence {
  private readonly mayHoldLogs: (block: ChainHeader) => boolean;
  /** A confirmed log of the contract: a node that does not find it has lost its index. */
  private confirmed: NodeLog | undefined;
  /** Hashes of blocks whose bloom allows logs of the contract, but whose receipts have none. */
  private readonly knownEmpty = new Set<string>();

  constructor(
    private readonly source: LogSource,
    /** The block in which the contract was deployed, which holds logs of its constructor. */
    private readonly deployedAt: number | undefined,
  ) {
    const mayHold = bloomFilter(source.address);
    this.mayHoldLogs = ({ logsBloom }) => mayHold(logsBloom);
  }

  /** True when the block certainly holds no log of the contract; asks no node. */
  isWithoutLogs(block: ChainHeader): boolean {
    return this.knownEmpty.has(block.hash) || (!isBlank(block.logsBloom) && !this.mayHoldLogs(block));
  }

  /** Keeps the last of these confirmed logs: a node that does not find it later has lost its index. */
  remember(logs: readonly NodeLog[]): void {
    this.confirmed = logs.at(-1) ?? this.confirmed;
  }

  /**
   * Throws `Disagreement` when logs of blocks [from, to] are missing or wrong. A narrow range is checked
   * block by block. In a wide one, missing logs are found by chance: if one of their blocks is among those
   * checked, or if the whole index is lost.
   */
  async confirmRange(from: number, to: ChainHeader, logs: readonly NodeLog[]): Promise<void> {
    if (to.number - from < NARROW_BLOCKS) return this.confirmBlocks(from, to, logs);
    await this.spotCheck(from, to.number, logs);
    const last = logs.at(-1);
    if (!last) return this.requireConfirmedLog();
    const own = logs.filter(({ blockNumber }) => blockNumber === last.blockNumber);
    await this.confirmBlock(await this.source.block(Number(last.blockNumber)), own);
  }

  /** Throws `Disagreement` unless the logs are exactly those in the block's receipts. */
  async confirmBlock(block: ChainHeader, logs: readonly NodeLog[]): Promise<void> {
    if (logs.some(({ blockHash }) => blockHash !== block.hash)) {
      throw new Disagreement(`Logs of block ${block.number} belong to another block of that number`);
    }
    if (logs.length === 0 && this.knownEmpty.has(block.hash)) return;
    const inReceipts = await this.contractLogs(block);
    requireSame(logs, inReceipts ?? (await this.source.logsOf(block.hash)).logs);
    if (logs.length > 0 || !inReceipts) return;
    if (this.knownEmpty.size > MAX_KNOWN_EMPTY) this.knownEmpty.clear();
    this.knownEmpty.add(block.hash);
  }

  private async confirmBlocks(from: number, to: ChainHeader, logs: readonly NodeLog[]): Promise<void> {
    for (const block of await this.source.chainOf(from, to)) {
      const own = logs.filter(({ blockNumber }) => Number(blockNumber) === block.number);
      if (own.length > 0 || this.mayHoldLogs(block)) await this.confirmBlock(block, own);
    }
  }

  private async spotCheck(from: number, to: number, logs: readonly NodeLog[]): Promise<void> {
    const reported = new Set(logs.map(({ blockNumber }) => Number(blockNumber)));
    const unreported = (await this.source.blocks(spread(from, to))).filter(({ number }) => !reported.has(number));
    for (const block of unreported)
      if (this.mayHoldLogs(block) && isSelective(block.logsBloom)) await this.confirmBlock(block, []);
    const withLogs = unreported.filter(({ logsBloom }) => !isBlank(logsBloom));
    for (const block of new Set([withLogs.at(0), withLogs.at(-1)])) if (block) await this.requireIndexed(block);
  }

  /**
   * Throws when the node has receipts with logs of the block but finds no log of any contract: its index is
   * behind or lost.
   */
  private async requireIndexed(block: ChainHeader): Promise<void> {
    const found = await this.source.countAllLogs(block);
    if (!found || found.count > 0) return;
    const receipts = await this.source.receiptLogs(block);
    if (receipts && receipts.length > 0)
      throw this.source.distrustFor(found.by, `has no logs of block ${block.number}`);
  }

  /** Throws when the node does not find the confirmed log. */
  private async requireConfirmedLog(): Promise<void> {
    this.confirmed ??= await this.findDeployment();
    if (!this.confirmed) return;
    const { blockHash } = this.confirmed;
    const { logs, by } = await this.source.logsOf(blockHash);
    if (logs.length === 0) throw this.source.distrustFor(by, `has lost the logs of block ${blockHash}`);
  }

  /**
   * Returns a log of the contract's deployment; undefined when `deployedAt` is wrong or the node has no
   * receipts that old.
   */
  private async findDeployment(): Promise<NodeLog | undefined> {
    if (this.deployedAt === undefined) return undefined;
    const block = await this.source.block(this.deployedAt);
    const logs = this.isWithoutLogs(block) ? [] : await this.contractLogs(block).catch(unlessNotReady);
    return logs?.at(-1);
  }

  /** Returns the logs of the contract from the block's receipts. */
  private async contractLogs(block: ChainHeader): Promise<NodeLog[] | undefined> {
    const logs = await this.source.receiptLogs(block);
    return logs?.filter((log) => this.source.isOfContract(log));
  }
}

function unlessNotReady(error: unknown): undefined {
  if (!(error instanceof NotReady)) throw error;
}

/**
 * Returns numbers of [from, to]: all, or a random one from each of `SPOTS` equal parts, so that a second
 * check sees others.
 */
function spread(from: number, to: number): number[] {
  const blocks = to - from + 1;
  if (blocks <= SPOTS) return Array.from({ length: blocks }, (_, i) => from + i);
  return Array.from({ length: SPOTS }, (_, i) => from + Math.floor(((i + Math.random()) * blocks) / SPOTS));
}

/** Throws `Disagreement` unless both lists hold the same logs. */
export function requireSame(first: readonly NodeLog[], second: readonly NodeLog[]): void {
  const known = new Set(first.map(identityOf));
  const isSame = first.length === second.length && second.every((log) => known.has(identityOf(log)));
  if (!isSame) throw new Disagreement(`Two readings differ: ${first.length} logs, then ${second.length}`);
}
