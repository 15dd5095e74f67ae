/** Reads the events of one contract from nodes that are not trusted: every event has to be confirmed once. */
import type { CoreEvent } from '../contract/events';
import { decodeLog } from '../contract/logs';
import type { AskOptions } from '../rpc/endpoint-pool';
import { isBlank } from './bloom';
import { LogEvidence, requireSame } from './log-evidence';
import type { ChainHeader, LogSource, Reading } from './log-source';

/**
 * Nodes may omit logs, repeat or mix them, or be behind. So each event has to come from two endpoints, or
 * from one whose blooms and receipts agree with its logs (`LogEvidence`).
 */
export class LogReader {
  private readonly evidence: LogEvidence;

  constructor(
    readonly source: LogSource,
    /** The block in which the contract was deployed, if known. */
    deployedAt?: number | undefined,
  ) {
    this.evidence = new LogEvidence(source, deployedAt);
  }

  /**
   * Returns the events of blocks [from, to], in order. Throws `Disagreement`, and `RpcError` when the node
   * refuses the range.
   */
  async range(from: number, to: ChainHeader): Promise<CoreEvent[]> {
    const first = await this.source.logsBetween(from, to.number);
    const others = { lastResort: [first.by] };
    if (this.source.nodeCount > 1) await this.source.requireSameBlock(to, others);
    const halves = await this.readInHalves(from, to, first, others);
    for (const half of halves) if (half.by !== first.by) this.evidence.remember(half.logs);
    requireSame(
      first.logs,
      halves.flatMap(({ logs }) => logs),
    );
    if (halves.some(({ by }) => by === first.by)) await this.evidence.confirmRange(from, to, first.logs);
    this.evidence.remember(first.logs);
    return first.logs.flatMap((log) => decodeLog(log) ?? []);
  }

  /** Returns the events of one block, which need not be final. */
  async blockEvents(block: ChainHeader): Promise<CoreEvent[]> {
    if (this.evidence.isWithoutLogs(block)) return [];
    const first = await this.source.logsOf(block.hash);
    if (first.logs.length === 0 && isBlank(block.logsBloom)) return [];
    const isAlone = this.source.nodeCount === 1;
    const second = isAlone ? first : await this.source.logsOf(block.hash, { lastResort: [first.by] });
    requireSame(first.logs, second.logs);
    if (second.by === first.by) await this.evidence.confirmBlock(block, first.logs);
    return first.logs.flatMap((log) => decodeLog(log) ?? []);
  }

  /**
   * Reads the range again in two parts with about as many logs each. A node that truncates its answers, at a
   * number of logs or at their end, then returns other logs for the parts than for the whole.
   */
  private async readInHalves(from: number, to: ChainHeader, first: Reading, options: AskOptions): Promise<Reading[]> {
    if (from === to.number) return [await this.source.logsOf(to.hash, options)];
    const median = first.logs[Math.floor((first.logs.length - 1) / 2)];
    const middle = median ? Number(median.blockNumber) : Math.floor((from + to.number) / 2);
    const split = Math.min(middle, to.number - 1);
    return [
      await this.source.logsBetween(from, split, options),
      await this.source.logsBetween(split + 1, to.number, options),
    ];
  }
}
