/** Reads blocks that are not final yet, and notices when a reorganisation has replaced some of them. */
import type { Logger } from '../../lib/logger';
import type { CoreEvent } from '../contract/events';
import type { ChainCursor } from './final-reader';
import type { LogReader } from './log-reader';
import { type ChainHeader, Disagreement, type LogSource } from './log-source';

export interface TentativeBatch {
  /** Everything reported before about this block and later ones is void. */
  from: number;
  events: readonly CoreEvent[];
  cursor: ChainCursor;
}

interface ReorgDeps {
  reader: Pick<LogReader, 'blockEvents'> & { source: Pick<LogSource, 'head' | 'block'> };
  logger: Logger;
  /** Throws when the last final block is no longer in the chain. */
  checkFinal(): Promise<void>;
  onTentative(batch: TentativeBatch): Promise<void>;
}

const MAX_BLOCKS = 64;

/**
 * Reads block by block along the parent hashes, and reports the number from which on blocks were replaced.
 */
export class ReorgReader {
  /** The last final block, then the blocks reported since this process began, oldest first. */
  private path: ChainCursor[];

  constructor(
    cursor: ChainCursor | undefined,
    private readonly fromBlock: number,
    private readonly deps: ReorgDeps,
  ) {
    this.path = cursor ? [cursor] : [];
  }

  /** Reads on above the final block. Returns true when there is nothing more to read yet. */
  async step(final: ChainCursor | undefined): Promise<boolean> {
    if (final) this.path = above(this.path, final);
    const head = await this.deps.reader.source.head();
    const tip = this.path.at(-1);
    if (tip && (head.number < tip.number || head.hash === tip.hash)) return true;
    const path = await this.walkBack(head, final);
    const from = (path.at(-1)?.number ?? this.fromBlock - 1) + 1;
    if (tip && from <= tip.number)
      this.deps.logger.info('Chain was reorganised', { from, depth: tip.number + 1 - from });
    if (head.number < from) return true;
    const events = await this.readOn(path, from, head);
    const cursor = path.at(-1) ?? head;
    await this.deps.onTentative({ from, events, cursor: { number: cursor.number, hash: cursor.hash } });
    this.path = path;
    return cursor.number === head.number;
  }

  /** Returns the part of the path that is still in the chain. */
  private async walkBack(head: ChainHeader, final: ChainCursor | undefined): Promise<ChainCursor[]> {
    const path = [...this.path];
    for (let tip = path.at(-1); tip; tip = path.at(-1)) {
      const block = tip.number === head.number ? head : await this.deps.reader.source.block(tip.number);
      if (block.hash === tip.hash) break;
      if (tip.number === final?.number) {
        await this.deps.checkFinal();
        throw new Disagreement(`Block ${tip.number} is not the same in two answers`);
      }
      path.pop();
    }
    return path;
  }

  /** Extends the path towards the head, by at least one block, and returns the events on the way. */
  private async readOn(path: ChainCursor[], from: number, head: ChainHeader): Promise<CoreEvent[]> {
    const events: CoreEvent[] = [];
    const to = Math.min(head.number, from + MAX_BLOCKS - 1);
    for (let number = from; number <= to; number += 1) {
      try {
        events.push(...(await this.readOne(path, number, head)));
      } catch (error) {
        if (number === from) throw error;
        // Keep what was read: otherwise a node that fails once in every long reading would prevent all
        // progress.
        break;
      }
    }
    return events;
  }

  /** Extends the path by one block, and returns its events. */
  private async readOne(path: ChainCursor[], number: number, head: ChainHeader): Promise<readonly CoreEvent[]> {
    const block = number === head.number ? head : await this.deps.reader.source.block(number);
    const parent = path.at(-1);
    if (parent && block.parentHash !== parent.hash)
      throw new Disagreement(`Block ${number} was replaced while it was read`);
    const events = await this.deps.reader.blockEvents(block);
    path.push({ number, hash: block.hash });
    return events;
  }
}

/** Returns the path from the final block on. A path with another block at that height is dropped. */
function above(path: readonly ChainCursor[], final: ChainCursor): ChainCursor[] {
  const isElsewhere = path.some(({ number, hash }) => number === final.number && hash !== final.hash);
  return isElsewhere ? [final] : [final, ...path.filter(({ number }) => number > final.number)];
}
