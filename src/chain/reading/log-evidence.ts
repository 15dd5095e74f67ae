import { bloomFilter, isBlank, isTelling } from './bloom';
import { type ChainHeader, Disagreement, identityOf, type LogSource, type NodeLog, NotReady } from './log-source';

/** In a range as narrow as this every block is looked at. */
export const NARROW_BLOCKS = 64;
/** In a wider range only so many blocks, spread over it, are looked at. */
const SPOTS = 256;
const MAX_KNOWN_EMPTY = 1000;

/**
 * Checks logs that only one endpoint told of, by the blooms in the blocks' headers and by receipts. Nodes keep both apart from the index
 * that they answer questions for logs from, so that a damaged index shows.
 */
export class LogEvidence {
  private readonly mayHoldOurs: (block: ChainHeader) => boolean;
  /** A log of the contract that is certainly there: a node that does not find it has lost its index. */
  private witness: NodeLog | undefined;
  /** Hashes of blocks whose bloom allows logs of ours, but whose receipts have none. */
  private readonly knownEmpty = new Set<string>();

  constructor(
    private readonly source: LogSource,
    /** The block in which the contract was deployed; an honest node finds logs of ours in it. */
    private readonly deployedAt: number | undefined,
  ) {
    const mayHold = bloomFilter(source.address);
    this.mayHoldOurs = ({ logsBloom }) => mayHold(logsBloom);
  }

  /** Whether the block certainly holds no log of ours; asks no node. */
  isWithout(block: ChainHeader): boolean {
    return this.knownEmpty.has(block.hash) || (!isBlank(block.logsBloom) && !this.mayHoldOurs(block));
  }

  /** Keeps the last of these logs, which are there for certain: a node that does not find it later has lost its index. */
  remember(logs: readonly NodeLog[]): void {
    this.witness = logs.at(-1) ?? this.witness;
  }

  /**
   * Throws `Disagreement` when logs of blocks [from, to] are missing or wrong. In a narrow range every block is checked. In a wide one it
   * is a matter of chance: missing logs show if a block of theirs is among those looked at, or if the index is lost altogether.
   */
  async confirmRange(from: number, to: ChainHeader, logs: readonly NodeLog[]): Promise<void> {
    if (to.number - from < NARROW_BLOCKS) return this.confirmBlocks(from, to, logs);
    await this.spotCheck(from, to.number, logs);
    const last = logs.at(-1);
    if (!last) return this.requireWitness();
    const own = logs.filter(({ blockNumber }) => blockNumber === last.blockNumber);
    await this.confirmBlock(await this.source.block(Number(last.blockNumber)), own);
  }

  /** Throws `Disagreement` unless the logs are those of the block's receipts. */
  async confirmBlock(block: ChainHeader, logs: readonly NodeLog[]): Promise<void> {
    if (logs.some(({ blockHash }) => blockHash !== block.hash)) {
      throw new Disagreement(`Logs of block ${block.number} are of another block of that number`);
    }
    if (logs.length === 0 && this.knownEmpty.has(block.hash)) return;
    const inReceipts = await this.ourReceipts(block);
    requireSame(logs, inReceipts ?? (await this.source.logsOf(block.hash)).logs);
    if (logs.length > 0 || !inReceipts) return;
    if (this.knownEmpty.size > MAX_KNOWN_EMPTY) this.knownEmpty.clear();
    this.knownEmpty.add(block.hash);
  }

  private async confirmBlocks(from: number, to: ChainHeader, logs: readonly NodeLog[]): Promise<void> {
    for (const block of await this.source.chainOf(from, to)) {
      const own = logs.filter(({ blockNumber }) => Number(blockNumber) === block.number);
      if (own.length > 0 || this.mayHoldOurs(block)) await this.confirmBlock(block, own);
    }
  }

  private async spotCheck(from: number, to: number, logs: readonly NodeLog[]): Promise<void> {
    const told = new Set(logs.map(({ blockNumber }) => Number(blockNumber)));
    const untold = (await this.source.blocks(spread(from, to))).filter(({ number }) => !told.has(number));
    for (const block of untold)
      if (this.mayHoldOurs(block) && isTelling(block.logsBloom)) await this.confirmBlock(block, []);
    const withLogs = untold.filter(({ logsBloom }) => !isBlank(logsBloom));
    for (const block of new Set([withLogs.at(0), withLogs.at(-1)])) if (block) await this.requireIndexed(block);
  }

  /** Throws when the node has receipts with logs of the block but finds no log of any contract: its index is behind, or lost. */
  private async requireIndexed(block: ChainHeader): Promise<void> {
    const found = await this.source.anybodysLogs(block);
    if (!found || found.count > 0) return;
    const receipts = await this.source.receiptLogs(block);
    if (receipts && receipts.length > 0) throw this.source.liar(found.by, `has no logs of block ${block.number}`);
  }

  /** Throws when the node does not find the log that is certainly there. */
  private async requireWitness(): Promise<void> {
    this.witness ??= await this.findDeployment();
    if (!this.witness) return;
    const { blockHash } = this.witness;
    const { logs, by } = await this.source.logsOf(blockHash);
    if (logs.length === 0) throw this.source.liar(by, `has lost the logs of block ${blockHash}`);
  }

  /** A log from the contract's deployment. Undefined where `deployedAt` is another block, or the node has no receipts that old. */
  private async findDeployment(): Promise<NodeLog | undefined> {
    if (this.deployedAt === undefined) return undefined;
    const block = await this.source.block(this.deployedAt);
    const logs = this.isWithout(block) ? [] : await this.ourReceipts(block).catch(unlessNotReady);
    return logs?.at(-1);
  }

  private async ourReceipts(block: ChainHeader): Promise<NodeLog[] | undefined> {
    const logs = await this.source.receiptLogs(block);
    return logs?.filter((log) => this.source.isOurs(log));
  }
}

function unlessNotReady(error: unknown): undefined {
  if (!(error instanceof NotReady)) throw error;
}

/** Numbers of [from, to]: all, or one at random from each of `SPOTS` equal parts, so that a second look sees other blocks. */
function spread(from: number, to: number): number[] {
  const blocks = to - from + 1;
  if (blocks <= SPOTS) return Array.from({ length: blocks }, (_, i) => from + i);
  return Array.from({ length: SPOTS }, (_, i) => from + Math.floor(((i + Math.random()) * blocks) / SPOTS));
}

/** Throws `Disagreement` unless both hold the same logs. */
export function requireSame(first: readonly NodeLog[], second: readonly NodeLog[]): void {
  const known = new Set(first.map(identityOf));
  const isSame = first.length === second.length && second.every((log) => known.has(identityOf(log)));
  if (!isSame) throw new Disagreement(`Asked twice, there were ${first.length} logs and then ${second.length}`);
}
