/** Reads final blocks, range by range, each exactly once; throws when a final block changes. */
import { AppError } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { CoreEvent } from '../contract/events';
import { NoEndpointAnswers } from '../rpc/endpoint-pool';
import type { Finality } from '../rpc/finality';
import { RpcError } from '../rpc/rpc';
import { explainMissing } from './history-limit';
import { NARROW_BLOCKS } from './log-evidence';
import type { LogReader } from './log-reader';
import { type ChainHeader, Disagreement, NotReady } from './log-source';

/** The last block that was read. Its hash identifies it after a reorganisation. */
export interface ChainCursor {
  number: number;
  hash: string;
}

export interface FinalOptions extends Finality {
  /** First block to read when there is no cursor. */
  fromBlock?: number | undefined;
}

export type FinalReaderError = {
  code: 'chain/reorg-beyond-final';
  block: number;
  /** Hash of the block that was read. */
  hash: string;
  /** Hash of the block that the chain has at this height now. */
  found: string;
};

interface FinalDeps {
  reader: LogReader;
  logger: Logger;
  onFinal(events: readonly CoreEvent[], cursor: ChainCursor): Promise<void>;
}

const FIRST_RANGE = 2000;
/**
 * Without a bound, the range would keep growing at the head, where it is never used up, until halving could
 * not undo it.
 */
const MAX_RANGE = 100_000;
/** How often, for each endpoint, a final block has to differ before it counts as changed. */
const MAX_MISMATCHES = 8;
/** An endpoint that is further behind than this is stuck. */
const MAX_LAG_BLOCKS = 5;
/** Looks at a chain that is too short before the warning. */
const LOOKS_BEFORE_WARNING = 3;

export class FinalReader {
  private range = FIRST_RANGE;
  private mismatches = 0;
  private looksBehind = 0;

  constructor(
    private at: ChainCursor | undefined,
    private readonly options: FinalOptions,
    private readonly deps: FinalDeps,
  ) {}

  get cursor(): ChainCursor | undefined {
    return this.at;
  }

  /** Reads one range. Returns true when there is nothing more to read yet. */
  async step(): Promise<boolean> {
    const end = await this.findEnd();
    const from = this.at ? this.at.number + 1 : (this.options.fromBlock ?? 0);
    this.noteProgress(end);
    if (end < from) return true;
    await this.checkCursor();
    const read = await this.readRange(from, this.endOfRange(from, end)).catch((error: unknown) =>
      explainMissing(this.deps.reader.source, { from, end }, error),
    );
    if (!read) return false;
    const { number, hash } = read.block;
    await this.deps.onFinal(read.events, { number, hash });
    this.at = { number, hash };
    this.range = Math.min(MAX_RANGE, Math.ceil(this.range * 1.2));
    return number === end;
  }

  /**
   * Checks that the last final block is still in the chain. An unhealthy node may return another one, so all
   * endpoints are asked several times. Throws `chain/reorg-beyond-final` when the block still differs.
   */
  async checkCursor(): Promise<void> {
    if (!this.at) return;
    const {
      reader: { source },
      logger,
    } = this.deps;
    const { number, hash } = this.at;
    const { result: block, by } = await source.blockBy(number);
    if (block.hash === hash) {
      this.mismatches = 0;
      return;
    }
    this.mismatches += 1;
    source.distrust(by, `returned another block ${number} than the final one`);
    if (this.mismatches < MAX_MISMATCHES * source.nodeCount)
      throw new Disagreement(`Final block ${number} has changed`);
    logger.error('Chain was reorganised beyond its final block', { block: number, hash, found: block.hash });
    throw beyondFinal(number, hash, block.hash);
  }

  private findEnd(): Promise<number> {
    return this.deps.reader.source.finalNumber(this.options, () => this.findHead());
  }

  /**
   * Returns the newest block number. Has an endpoint that is stuck while others advance asked last from then
   * on.
   */
  private async findHead(): Promise<number> {
    const { source } = this.deps.reader;
    const { result: head, by } = await source.headNumber();
    const hasNews = head - this.options.confirmations > (this.at?.number ?? -1);
    if (hasNews || source.nodeCount === 1) return head;
    const other = await source.headNumber({ lastResort: [by] });
    if (other.result > head + MAX_LAG_BLOCKS) source.distrust(by, `is stuck at block ${head}`);
    return head;
  }

  /** Warns about a head below the cursor. It means a node that is not ready, never a reorganisation. */
  private noteProgress(end: number): void {
    const isBehind = this.at !== undefined && end < this.at.number;
    this.looksBehind = isBehind ? this.looksBehind + 1 : 0;
    if (this.looksBehind !== LOOKS_BEFORE_WARNING) return;
    const remedy = 'Check whether the node is syncing. If the chain was started anew, use an empty data directory.';
    this.deps.logger.warn('Chain is shorter than the part already read', { final: end, read: this.at?.number, remedy });
  }

  /**
   * Returns the last block of the next range. A wide range excludes the newest blocks, whose logs nodes may
   * not have indexed.
   */
  private endOfRange(from: number, end: number): number {
    const widest = Math.min(end, from + this.range - 1);
    const settled = end - NARROW_BLOCKS;
    return widest > settled && from <= settled ? settled : widest;
  }

  /** Returns undefined when the range was refused; it is narrower now. */
  private async readRange(from: number, to: number): Promise<{ block: ChainHeader; events: CoreEvent[] } | undefined> {
    const { reader, logger } = this.deps;
    const block = await reader.source.block(to);
    try {
      return { block, events: await reader.range(from, block) };
    } catch (error) {
      if (error instanceof NotReady) throw error;
      const width = to - from + 1;
      this.range = Math.max(1, Math.floor(Math.min(this.range, width) / 2));
      // Nodes refuse a range by an error, a status of 5xx, a timeout or a closed connection. None of them is
      // an outage here: the same nodes have just answered for the block.
      const isRefusal = error instanceof RpcError || error instanceof NoEndpointAnswers;
      if (!isRefusal || width === 1) throw error;
      logger.debug('Range was refused; trying a narrower one', { from, to, range: this.range }, error);
      return undefined;
    }
  }
}

function beyondFinal(block: number, hash: string, found: string): AppError<FinalReaderError> {
  return new AppError(
    { code: 'chain/reorg-beyond-final', block, hash, found },
    `Block ${block} was final (${hash}), but the chain has another block at that height now (${found}); raise ` +
      '`confirmations` and start with an empty data directory, which reads the chain again. On a development chain that was ' +
      'started anew, an empty data directory is enough.',
  );
}
