import { AppError } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { CoreEvent } from '../contract/events';
import { NoEndpointAnswers } from '../rpc/endpoint-pool';
import type { Finality } from '../rpc/finality';
import { RpcError } from '../rpc/rpc';
import { NARROW_BLOCKS } from './log-evidence';
import type { LogReader } from './log-reader';
import { type ChainHeader, Disagreement, NotReady } from './log-source';

/** The last block that was read, and which block that was. */
export interface ChainCursor {
  number: number;
  hash: string;
}

export interface FinalOptions extends Finality {
  /** Where to begin without a cursor. */
  fromBlock?: number | undefined;
}

export type WatcherError = {
  code: 'chain/reorg-beyond-final';
  block: number;
  /** Of the block we read. */
  hash: string;
  /** Of the block that the chain has there now. */
  found: string;
};

interface FinalDeps {
  reader: LogReader;
  logger: Logger;
  onFinal(events: readonly CoreEvent[], cursor: ChainCursor): Promise<void>;
}

const FIRST_RANGE = 2000;
/** Without a bound, growth would go on at the head, where no range is ever used up, until halving could not undo it. */
const MAX_RANGE = 100_000;
/** A final block has to be another one so often, at every endpoint there is, before it is believed. */
const MAX_DOUBTS = 8;
/** An endpoint that is further behind another one is stuck. */
const MAX_LAG_BLOCKS = 5;
const PATIENT_LOOKS = 3;

/** Reads final blocks, range by range, each once. */
export class FinalReader {
  private range = FIRST_RANGE;
  private doubts = 0;
  private looksBehind = 0;
  private knowsTag = false;

  constructor(
    private at: ChainCursor | undefined,
    private readonly options: FinalOptions,
    private readonly deps: FinalDeps,
  ) {}

  get cursor(): ChainCursor | undefined {
    return this.at;
  }

  /** Reads one range. True when there is no more to read yet. */
  async step(): Promise<boolean> {
    const end = await this.findEnd();
    const from = this.at ? this.at.number + 1 : (this.options.fromBlock ?? 0);
    this.noteProgress(end);
    if (end < from) return true;
    await this.checkCursor();
    const read = await this.readRange(from, this.endOfRange(from, end));
    if (!read) return false;
    const { number, hash } = read.block;
    await this.deps.onFinal(read.events, { number, hash });
    this.at = { number, hash };
    this.range = Math.min(MAX_RANGE, Math.ceil(this.range * 1.2));
    return number === end;
  }

  /**
   * Makes sure that our last final block is still in the chain. A node may say otherwise because it is ill, so it is asked again
   * and others are asked; throws `chain/reorg-beyond-final` when that helps nothing.
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
      this.doubts = 0;
      return;
    }
    this.doubts += 1;
    source.distrust(by, `has another block ${number} than the final one`);
    if (this.doubts < MAX_DOUBTS * source.nodeCount) throw new Disagreement(`Final block ${number} has changed`);
    logger.error('Chain was reorganised beyond what was final', { block: number, hash, found: block.hash });
    throw beyondFinal(number, hash, block.hash);
  }

  private async findEnd(): Promise<number> {
    if (this.options.preferTag) {
      const tagged = await this.deps.reader.source.finalizedNumber();
      this.knowsTag ||= tagged !== undefined;
      if (tagged !== undefined) return tagged;
      if (this.knowsTag) throw new NotReady('The node has forgotten which block is final');
    }
    return (await this.findHead()) - this.options.confirmations;
  }

  /** An endpoint that stands still while others go on is asked last from then on. */
  private async findHead(): Promise<number> {
    const { source } = this.deps.reader;
    const { result: head, by } = await source.headNumber();
    const hasNews = head - this.options.confirmations > (this.at?.number ?? -1);
    if (hasNews || source.nodeCount === 1) return head;
    const other = await source.headNumber({ lastResort: [by] });
    if (other.result > head + MAX_LAG_BLOCKS) source.distrust(by, `stands still at block ${head}`);
    return head;
  }

  /** A head below what was read is a node that is not ready, never a reorganisation. */
  private noteProgress(end: number): void {
    const isBehind = this.at !== undefined && end < this.at.number;
    this.looksBehind = isBehind ? this.looksBehind + 1 : 0;
    if (this.looksBehind !== PATIENT_LOOKS) return;
    const remedy = 'Is the node syncing? On a chain that was started anew, begin with an empty data directory.';
    this.deps.logger.warn('Chain is shorter than what was read', { final: end, read: this.at?.number, remedy });
  }

  /** The newest blocks are never part of a wide range: nodes may lag with the index of their logs. */
  private endOfRange(from: number, end: number): number {
    const widest = Math.min(end, from + this.range - 1);
    const settled = end - NARROW_BLOCKS;
    return widest > settled && from <= settled ? settled : widest;
  }

  /** Undefined when the range was refused, and is narrower now. */
  private async readRange(from: number, to: number): Promise<{ block: ChainHeader; events: CoreEvent[] } | undefined> {
    const { reader, logger } = this.deps;
    const block = await reader.source.block(to);
    try {
      return { block, events: await reader.range(from, block) };
    } catch (error) {
      if (error instanceof NotReady) throw error;
      const width = to - from + 1;
      this.range = Math.max(1, Math.floor(Math.min(this.range, width) / 2));
      // Too much is answered with an error of the node's own, a status of 5xx, silence, or a closed connection: the block was told just now.
      const isRefusal = error instanceof RpcError || error instanceof NoEndpointAnswers;
      if (!isRefusal || width === 1) throw error;
      logger.debug('Range was refused; asking for less', { from, to, range: this.range }, error);
      return undefined;
    }
  }
}

function beyondFinal(block: number, hash: string, found: string): AppError<WatcherError> {
  return new AppError(
    { code: 'chain/reorg-beyond-final', block, hash, found },
    `Block ${block} was read as final (${hash}), but the chain has another one there now (${found}); raise \`confirmations\` ` +
      'and start with an empty data directory, which reads the chain again. On a development chain that was started anew, ' +
      'an empty data directory is enough.',
  );
}
