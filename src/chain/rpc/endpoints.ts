import { type JsonRpcPayload, JsonRpcProvider, type JsonRpcResult, Network } from 'ethers';
import { type Clock, systemClock } from '../../lib/clock';
import { AppError } from '../../lib/errors';
import { type Logger, silentLogger } from '../../lib/logger';
import { EndpointTrouble, hideSecrets, postRpc, type RpcAnswer, RpcError, type RpcPayload } from './rpc';

export type EndpointError =
  | { code: 'chain/unreachable'; endpoint: string }
  | { code: 'chain/wrong-chain'; endpoint: string; chainId: number; expected: number };

export interface EndpointOptions {
  /** One URL or several; the first is asked first, the others when it is in trouble. */
  endpoint: string | readonly string[];
  /** If set, an endpoint of any other chain is refused. */
  chainId?: number | undefined;
  /** How long an answer is waited for. Default: 30 s, 15 s where another endpoint can be asked. */
  answerMs?: number | undefined;
  /** How long an endpoint that failed once is left alone while others answer; longer each time it fails again. */
  recoverMs?: number | undefined;
}

export interface EndpointDeps {
  clock: Clock;
  logger: Logger;
}

export interface AskOptions {
  /** Endpoints to turn to only when no other answers, by number. */
  lastResort?: readonly number[] | undefined;
  signal?: AbortSignal | undefined;
}

export interface Answer<T> {
  result: T;
  /** Number of the endpoint that said so. */
  by: number;
}

interface Said {
  answer: RpcAnswer;
  by: number;
}

interface Endpoint {
  readonly index: number;
  readonly url: string;
  /** Without secrets. */
  readonly name: string;
  /** Its chain was asked for since it was last in trouble. */
  isChecked: boolean;
  /** Of another chain. */
  isDropped: boolean;
  failures: number;
  /** Asked after all others until then. */
  illUntilMs: number;
  /** Not asked at all until then: it said so itself. */
  restUntilMs: number;
}

const START_MS = 10_000;
const MAX_ROUNDS = 5;
const FIRST_PAUSE_MS = 250;
/** Who wants to be left alone for longer is given up; our loops come back by themselves. */
const MAX_PAUSE_MS = 30_000;
const MAX_RECOVER_FACTOR = 16;

/**
 * Several nodes of one chain as if they were one. Questions go to the first endpoint that is well, in the order of the
 * configuration; one that fails is asked last for a while, and its chain is asked for again before it is trusted again.
 * An error that a node answers with (a revert, a refused range) is an answer.
 */
export class EndpointPool {
  private readonly endpoints: readonly Endpoint[];
  private readonly closer = new AbortController();
  private expected: number | undefined;
  private nextId = 1;

  private constructor(
    private readonly options: EndpointOptions,
    private readonly deps: EndpointDeps,
  ) {
    const urls = typeof options.endpoint === 'string' ? [options.endpoint] : options.endpoint;
    this.endpoints = urls.map((url, index) => ({
      index,
      url,
      name: hideSecrets(url),
      isChecked: false,
      isDropped: false,
      failures: 0,
      illUntilMs: 0,
      restUntilMs: 0,
    }));
  }

  /**
   * Asks every endpoint for its chain. Throws `chain/wrong-chain` when they differ or one is not the chain that was meant, and
   * `chain/unreachable` when none answers; some may be away.
   */
  static async open(options: EndpointOptions, deps: Partial<EndpointDeps> = {}): Promise<EndpointPool> {
    const pool = new EndpointPool(options, { clock: systemClock, logger: silentLogger, ...deps });
    try {
      await pool.start();
      return pool;
    } catch (error) {
      pool.close();
      throw error;
    }
  }

  /** How many endpoints there are, also those that are in trouble. */
  get size(): number {
    return this.endpoints.length;
  }

  get chainId(): number {
    return this.expected ?? 0;
  }

  /** Throws `RpcError` for a node's own error, and an ordinary error when no endpoint answers. */
  async ask<T>(method: string, params: readonly unknown[], options: AskOptions = {}): Promise<Answer<T>> {
    const payload: RpcPayload = { id: this.nextId, jsonrpc: '2.0', method, params };
    this.nextId += 1;
    const { answer, by } = await this.post(payload, options);
    if (answer.error) throw new RpcError(answer.error.code, answer.error.message);
    return { result: answer.result as T, by };
  }

  /** Sends a question as it is; answers that are errors are returned. A transaction goes to all endpoints at once. */
  async post(payload: RpcPayload, options: AskOptions = {}): Promise<Said> {
    if (payload.method === 'eth_sendRawTransaction') return this.broadcast(payload);
    const signal = this.signalOf(options);
    const said = await this.postAmong(() => this.inOrder(options.lastResort ?? []), payload, signal);
    return payload.method === 'eth_getTransactionReceipt' ? this.lookElsewhere(payload, said, signal) : said;
  }

  /** That there is no receipt is believed when nobody has one: taking it for "not mined" can double a transaction. */
  private async lookElsewhere(payload: RpcPayload, first: Said, signal: AbortSignal): Promise<Said> {
    const asked: number[] = [];
    for (let said = first; ; said = await this.postAmong(() => this.inOrder(asked), payload, signal)) {
      if (said.answer.result !== null || asked.includes(said.by)) return said;
      asked.push(said.by);
      if (asked.length === this.size) return said;
    }
  }

  /** Has an endpoint that told untrue things asked after the others for a while. */
  distrust(by: number, why: string): void {
    const endpoint = this.endpoints[by];
    if (endpoint) this.markIll(endpoint, new EndpointTrouble('broken', why));
  }

  /** The endpoint's name for messages. */
  nameOf(by: number): string {
    return this.endpoints[by]?.name ?? '';
  }

  close(): void {
    this.closer.abort(new Error('The chain was closed'));
  }

  private signalOf({ signal }: AskOptions): AbortSignal {
    return signal ? AbortSignal.any([signal, this.closer.signal]) : this.closer.signal;
  }

  private async start(): Promise<void> {
    const outcomes = await Promise.allSettled(this.endpoints.map((endpoint) => this.askChainId(endpoint)));
    const known = outcomes.flatMap((outcome, i) => {
      const endpoint = this.endpoints[i];
      return endpoint && outcome.status === 'fulfilled' ? [{ endpoint, chainId: outcome.value }] : [];
    });
    const [first] = known;
    if (!first) throw unreachable(this.endpoints, (outcomes[0] as PromiseRejectedResult | undefined)?.reason);
    const expected = this.options.chainId ?? first.chainId;
    const stray = known.find(({ chainId }) => chainId !== expected);
    if (stray) throw wrongChain(stray.endpoint.name, stray.chainId, expected, this.options.chainId === undefined);
    this.expected = expected;
    for (const { endpoint } of known) endpoint.isChecked = true;
    for (const endpoint of this.endpoints.filter(({ isChecked }) => !isChecked)) {
      this.deps.logger.warn('Endpoint does not answer; going on without it', { endpoint: endpoint.name });
    }
  }

  private async askChainId(endpoint: Endpoint): Promise<number> {
    const payload: RpcPayload = { id: 0, jsonrpc: '2.0', method: 'eth_chainId', params: [] };
    const signal = AbortSignal.any([this.closer.signal, AbortSignal.timeout(START_MS)]);
    const timeoutMs = Math.min(START_MS, this.answerMs);
    const { answer } = await this.inRounds(
      () => [endpoint],
      (one) => postRpc(one.url, payload, timeoutMs, signal),
      signal,
    );
    const chainId = Number(answer.result);
    if (!answer.result || !Number.isSafeInteger(chainId)) throw new EndpointTrouble('broken', 'no chain id');
    return chainId;
  }

  private get answerMs(): number {
    return this.options.answerMs ?? (this.size > 1 ? 15_000 : 30_000);
  }

  /** The well ones first, those in trouble last; in the order of the configuration otherwise. */
  private inOrder(lastResort: readonly number[]): Endpoint[] {
    const now = this.deps.clock.now();
    const rank = ({ index, illUntilMs }: Endpoint) => (illUntilMs > now ? 2 : 0) + (lastResort.includes(index) ? 1 : 0);
    return [...this.endpoints].sort((a, b) => rank(a) - rank(b) || a.index - b.index);
  }

  private postAmong(candidates: () => readonly Endpoint[], payload: RpcPayload, signal: AbortSignal): Promise<Said> {
    return this.inRounds(candidates, (endpoint) => this.postTo(endpoint, payload, signal), signal);
  }

  /** Tries one after the other; again after a pause when at least one of them was only busy. */
  private async inRounds(
    candidates: () => readonly Endpoint[],
    attempt: (endpoint: Endpoint) => Promise<RpcAnswer>,
    signal: AbortSignal,
  ): Promise<Said> {
    for (let round = 1; ; round += 1) {
      const troubles: [Endpoint, EndpointTrouble][] = [];
      for (const endpoint of candidates()) {
        try {
          return { answer: await attempt(endpoint), by: endpoint.index };
        } catch (error) {
          if (!(error instanceof EndpointTrouble)) throw error;
          troubles.push([endpoint, error]);
        }
      }
      const pauseMs = pauseAfter(troubles, round);
      if (pauseMs === undefined) return giveUp(troubles);
      await this.deps.clock.sleep(pauseMs, signal);
    }
  }

  private async postTo(endpoint: Endpoint, payload: RpcPayload, signal: AbortSignal): Promise<RpcAnswer> {
    const restMs = endpoint.restUntilMs - this.deps.clock.now();
    if (restMs > 0) throw new EndpointTrouble('busy', 'wants to be left alone', { retryAfterMs: restMs });
    try {
      if (!endpoint.isChecked) await this.check(endpoint, signal);
      const answer = await postRpc(endpoint.url, payload, this.answerMs, signal);
      if (endpoint.failures > 0) this.markWell(endpoint);
      return answer;
    } catch (error) {
      if (error instanceof EndpointTrouble && error.kind !== 'behind') this.markIll(endpoint, error);
      throw error;
    }
  }

  /** Behind an address there may be another chain than before. */
  private async check(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    if (!endpoint.isDropped) {
      const payload: RpcPayload = { id: 0, jsonrpc: '2.0', method: 'eth_chainId', params: [] };
      const { result } = await postRpc(endpoint.url, payload, this.answerMs, signal);
      endpoint.isChecked = Number(result) === this.expected;
      endpoint.isDropped = result !== undefined && !endpoint.isChecked;
      if (endpoint.isDropped) {
        const fields = { endpoint: endpoint.name, chainId: Number(result), expected: this.expected };
        this.deps.logger.warn('Endpoint is of another chain; it is not asked any more', fields);
      }
    }
    if (!endpoint.isChecked) throw new EndpointTrouble('broken', `is not of chain ${this.expected}`);
  }

  private markIll(endpoint: Endpoint, trouble: EndpointTrouble): void {
    const { clock, logger } = this.deps;
    const { recoverMs = 15_000 } = this.options;
    const factor = Math.min(MAX_RECOVER_FACTOR, 2 ** endpoint.failures);
    endpoint.failures += 1;
    endpoint.isChecked = false;
    endpoint.illUntilMs = clock.now() + recoverMs * factor;
    endpoint.restUntilMs = clock.now() + (trouble.retryAfterMs ?? 0);
    if (endpoint.isDropped || endpoint.failures > 1) return;
    logger[this.size > 1 ? 'warn' : 'debug']('Endpoint is in trouble', { endpoint: endpoint.name }, trouble);
  }

  private markWell(endpoint: Endpoint): void {
    const { failures, name } = endpoint;
    // One that was distrusted answers all the time: its while is not over before time.
    if (endpoint.illUntilMs <= this.deps.clock.now()) endpoint.failures = 0;
    if (endpoint.failures === 0) this.deps.logger.debug('Endpoint answers again', { endpoint: name, failures });
  }

  /** The first that takes the transaction decides; if none does, the first in order that says why. */
  private async broadcast(payload: RpcPayload): Promise<Said> {
    const endpoints = this.endpoints.filter(({ isDropped }) => !isDropped);
    const attempts = endpoints.map((endpoint) => this.postAmong(() => [endpoint], payload, this.closer.signal));
    const taken = attempts.map(async (attempt) => {
      const said = await attempt;
      if (said.answer.error) throw new RpcError(said.answer.error.code, said.answer.error.message);
      return said;
    });
    try {
      return await Promise.any(taken);
    } catch {
      const outcomes = await Promise.allSettled(attempts);
      const refusal = outcomes.find((outcome) => outcome.status === 'fulfilled');
      if (refusal) return refusal.value;
      throw (outcomes[0] as PromiseRejectedResult | undefined)?.reason ?? new Error('No endpoint is left');
    }
  }
}

/** Milliseconds until another round is worth it; undefined when none is. Jittered, so that many readers do not come back at once. */
function pauseAfter(troubles: readonly [Endpoint, EndpointTrouble][], round: number): number | undefined {
  const busy = troubles.filter(([, { kind }]) => kind === 'busy');
  if (busy.length === 0 || round >= MAX_ROUNDS) return undefined;
  const backOffMs = FIRST_PAUSE_MS * 2 ** (round - 1) * (0.5 + Math.random());
  const wantedMs = Math.min(...busy.map(([, { retryAfterMs }]) => retryAfterMs ?? 0));
  const pauseMs = wantedMs > 0 ? wantedMs + Math.random() * FIRST_PAUSE_MS : backOffMs;
  return pauseMs > MAX_PAUSE_MS ? undefined : pauseMs;
}

/** That every endpoint says it is behind, or has enough of us, is an answer too. */
function giveUp(troubles: readonly [Endpoint, EndpointTrouble][]): Said {
  for (const [endpoint, { kind, answer }] of troubles) {
    if (kind === 'behind' && answer) return { answer, by: endpoint.index };
  }
  throw new NoEndpointAnswers(troubles.map(([{ name }, trouble]) => [name, trouble]));
}

/** Not an `AppError`: whoever asked tries again by itself, and only at start it is the operator's business. */
export class NoEndpointAnswers extends Error {
  override readonly name = 'NoEndpointAnswers';
  /** At least one was asked and took too long, e.g. because the question was too large. */
  readonly isSlow: boolean;

  constructor(troubles: readonly (readonly [string, EndpointTrouble])[]) {
    const words = troubles.map(([name, { message }]) => `${name}: ${message}`).join('; ');
    super(`No Ethereum node answers (${words})`, { cause: troubles[0]?.[1] });
    this.isSlow = troubles.some(([, { kind }]) => kind === 'slow');
  }
}

/** ethers' client of a pool of endpoints. Destroying it closes the pool. */
export class FailoverProvider extends JsonRpcProvider {
  constructor(readonly endpoints: EndpointPool) {
    const network = Network.from(endpoints.chainId);
    super(endpoints.nameOf(0), network, {
      staticNetwork: network,
      // Waiting to fill a batch costs 10 ms a call; our loops ask one thing at a time.
      batchMaxCount: 1,
      // ethers would repeat an answer for 250 ms: long enough to read a nonce or a credit from before our own transaction.
      cacheTimeout: -1,
      pollingInterval: 500,
    });
  }

  override async _send(payload: JsonRpcPayload | JsonRpcPayload[]): Promise<JsonRpcResult[]> {
    const payloads = Array.isArray(payload) ? payload : [payload];
    return Promise.all(
      payloads.map(async (one) => {
        const { answer } = await this.endpoints.post(one);
        // An endpoint's id is not to be relied upon: each question has a connection of its own.
        return { ...answer, id: one.id } as JsonRpcResult;
      }),
    );
  }

  override destroy(): void {
    this.endpoints.close();
    super.destroy();
  }
}

function unreachable(endpoints: readonly Endpoint[], cause: unknown): AppError<EndpointError> {
  const where = endpoints.map(({ name }) => name).join(', ');
  return new AppError(
    { code: 'chain/unreachable', endpoint: where },
    `No Ethereum node answers at ${where}; correct \`endpoint\`, or start the node.`,
    { cause },
  );
}

function wrongChain(where: string, chainId: number, expected: number, isByOthers: boolean): AppError<EndpointError> {
  const wanted = isByOthers ? `other endpoints are chain ${expected}` : `chainId in the configuration is ${expected}`;
  return new AppError(
    { code: 'chain/wrong-chain', endpoint: where, chainId, expected },
    `${where} is chain ${chainId}, but ${wanted}; correct one of them.`,
  );
}
