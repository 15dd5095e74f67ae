/** One Ethereum node as the pool sees it: its address, its health, its chain. */
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { EndpointTrouble, hideSecrets, postRpc, type RpcAnswer, type RpcPayload } from './rpc';

export interface EndpointDeps {
  clock: Clock;
  logger: Logger;
}

export interface EndpointSettings {
  /** Timeout of one request. */
  answerMs: number;
  /**
   * How long the endpoint counts as unhealthy after its first failure; twice as long after each further one.
   */
  recoverMs: number;
  /** Level of the log line about a failing endpoint: its requester notices anyway when there is no other. */
  troubleLevel: 'warn' | 'debug';
}

const MAX_RECOVER_FACTOR = 16;

export class Endpoint {
  /** The address without secrets, for messages and logs. */
  readonly name: string;
  /** Its chain was asked for, and was right, since it last failed. */
  private isChecked = false;
  private isDropped = false;
  private failures = 0;
  private unhealthyUntilMs = 0;
  private pausedUntilMs = 0;

  constructor(
    /** Its place in the configuration. */
    readonly index: number,
    private readonly url: string,
    private readonly settings: EndpointSettings,
    private readonly deps: EndpointDeps,
  ) {
    this.name = hideSecrets(url);
  }

  /** False for a while after a failure. */
  get isHealthy(): boolean {
    return this.unhealthyUntilMs <= this.deps.clock.now();
  }

  /** False once it answered with another chain: it is then never used again. */
  get isUsable(): boolean {
    return !this.isDropped;
  }

  /** Skips the check of its chain before the next request; for a caller that has just made it. */
  confirmChain(): void {
    this.isChecked = true;
  }

  /** Asks for the chain without regard to health. The result may be missing. */
  requestChainId(timeoutMs: number, signal: AbortSignal): Promise<RpcAnswer> {
    return postRpc(this.url, { id: 0, jsonrpc: '2.0', method: 'eth_chainId', params: [] }, timeoutMs, signal);
  }

  /**
   * Posts a request, after a check of the chain where one is due, and keeps track of health. Throws
   * `EndpointTrouble` when there is no answer, and at once while the node has asked for a pause.
   */
  async post(payload: RpcPayload, chainId: number, signal: AbortSignal): Promise<RpcAnswer> {
    const pauseMs = this.pausedUntilMs - this.deps.clock.now();
    if (pauseMs > 0) throw new EndpointTrouble('busy', 'has asked for a pause', { retryAfterMs: pauseMs });
    try {
      if (!this.isChecked) await this.check(chainId, signal);
      const answer = await postRpc(this.url, payload, this.settings.answerMs, signal);
      if (this.failures > 0) this.noteAnswer();
      return answer;
    } catch (error) {
      if (error instanceof EndpointTrouble && error.kind !== 'behind') this.noteFailure(error);
      throw error;
    }
  }

  /**
   * Counts a failure: the endpoint is unhealthy for a while, and its chain is checked again before it is
   * used.
   */
  noteFailure(trouble: EndpointTrouble): void {
    const { clock, logger } = this.deps;
    const factor = Math.min(MAX_RECOVER_FACTOR, 2 ** this.failures);
    this.failures += 1;
    this.isChecked = false;
    this.unhealthyUntilMs = clock.now() + this.settings.recoverMs * factor;
    this.pausedUntilMs = clock.now() + (trouble.retryAfterMs ?? 0);
    if (this.isDropped || this.failures > 1) return;
    logger[this.settings.troubleLevel]('Endpoint is unhealthy', { endpoint: this.name }, trouble);
  }

  private noteAnswer(): void {
    const { failures, name } = this;
    // A distrusted endpoint answers all along; its answers must not end the distrust early.
    if (this.isHealthy) this.failures = 0;
    if (this.failures === 0) this.deps.logger.debug('Endpoint answers again', { endpoint: name, failures });
  }

  /** Another chain may answer at the address since the last check. */
  private async check(expected: number, signal: AbortSignal): Promise<void> {
    if (!this.isDropped) {
      const { result } = await this.requestChainId(this.settings.answerMs, signal);
      this.isChecked = Number(result) === expected;
      this.isDropped = result !== undefined && !this.isChecked;
      if (this.isDropped) {
        const fields = { endpoint: this.name, chainId: Number(result), expected };
        this.deps.logger.warn('Endpoint is on another chain; it is no longer used', fields);
      }
    }
    if (!this.isChecked) throw new EndpointTrouble('broken', `is not on chain ${expected}`);
  }
}
