/** Several Ethereum nodes used as one: the order in which they are asked, and what happens when one fails. */
import { systemClock } from '../../lib/clock';
import { AppError } from '../../lib/errors';
import { silentLogger } from '../../lib/logger';
import { Endpoint, type EndpointDeps } from './endpoint';
import { EndpointTrouble, type RpcAnswer, RpcError, type RpcPayload } from './rpc';

/** Nobody answers, the key is wrong, or something else than an Ethereum node answers. */
type UnusableCode = 'chain/unreachable' | 'chain/no-access' | 'chain/not-a-node';

export type EndpointError =
  | { code: UnusableCode; endpoint: string }
  | { code: 'chain/wrong-chain'; endpoint: string; chainId: number; expected: number };

export interface EndpointOptions {
  /** One URL or several; the first is preferred, the others take over while it is unhealthy. */
  endpoint: string | readonly string[];
  /** If set, an endpoint on any other chain is refused. */
  chainId?: number | undefined;
  /** Timeout of one request. Default: 30 s, or 15 s with several endpoints. */
  answerMs?: number | undefined;
  /** How long a failed endpoint is asked last; longer each time it fails again. Default: 15 s. */
  recoverMs?: number | undefined;
}

export interface AskOptions {
  /** Numbers of endpoints to use only when no other answers. */
  lastResort?: readonly number[] | undefined;
  signal?: AbortSignal | undefined;
}

/** A result, and the number of the endpoint that gave it. */
export interface Answer<T> {
  result: T;
  by: number;
}

/** A result or a node's own error, and the number of the endpoint that gave it. */
interface Reply {
  answer: RpcAnswer;
  by: number;
}

type Failure = readonly [Endpoint, EndpointTrouble];

const START_MS = 10_000;
const MAX_ROUNDS = 5;
const FIRST_PAUSE_MS = 250;
/** The pool gives up when an endpoint asks for a longer pause; callers retry anyway. */
const MAX_PAUSE_MS = 30_000;

/**
 * Sends each request to the first healthy endpoint in the order of the configuration. A failed endpoint is
 * asked last for a while, and its chain is checked before it is used again. An error from a node itself (a
 * revert, a refused range) is an answer.
 */
export class EndpointPool {
  private readonly endpoints: readonly Endpoint[];
  private readonly answerMs: number;
  private readonly closer = new AbortController();
  private expected = 0;
  private nextId = 1;

  private constructor(
    private readonly options: EndpointOptions,
    private readonly deps: EndpointDeps,
  ) {
    const urls = typeof options.endpoint === 'string' ? [options.endpoint] : options.endpoint;
    const isAlone = urls.length <= 1;
    this.answerMs = options.answerMs ?? (isAlone ? 30_000 : 15_000);
    const settings = {
      answerMs: this.answerMs,
      recoverMs: options.recoverMs ?? 15_000,
      troubleLevel: isAlone ? ('debug' as const) : ('warn' as const),
    };
    this.endpoints = urls.map((url, index) => new Endpoint(index, url, settings, deps));
  }

  /**
   * Asks every endpoint for its chain. Throws `chain/wrong-chain` when two differ or one is not on the
   * configured chain, and `chain/unreachable` when none answers; some may be unreachable.
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

  /** Number of endpoints, including unhealthy ones. */
  get size(): number {
    return this.endpoints.length;
  }

  get chainId(): number {
    return this.expected;
  }

  /** Returns a method's result. Throws `RpcError` for a node's own error, and `NoEndpointAnswers`. */
  async ask<T>(method: string, params: readonly unknown[], options: AskOptions = {}): Promise<Answer<T>> {
    const payload: RpcPayload = { id: this.nextId, jsonrpc: '2.0', method, params };
    this.nextId += 1;
    const { answer, by } = await this.post(payload, options);
    if (answer.error) throw new RpcError(answer.error.code, answer.error.message);
    return { result: answer.result as T, by };
  }

  /**
   * Posts a request as it is, and returns also answers that are errors. A transaction goes to all endpoints
   * at once.
   */
  async post(payload: RpcPayload, options: AskOptions = {}): Promise<Reply> {
    if (payload.method === 'eth_sendRawTransaction') return this.broadcast(payload);
    const signal = this.signalOf(options);
    const reply = await this.postInOrder(payload, options.lastResort ?? [], signal);
    return payload.method === 'eth_getTransactionReceipt' ? this.lookElsewhere(payload, reply, signal) : reply;
  }

  /** Has an endpoint that gave an untrue answer asked after the others for a while. */
  distrust(by: number, why: string): void {
    this.endpoints[by]?.noteFailure(new EndpointTrouble('broken', why));
  }

  /** The endpoint's address without secrets. */
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
    const outcomes = await Promise.allSettled(this.endpoints.map((endpoint) => this.fetchChainId(endpoint)));
    const known = outcomes.flatMap((outcome, i) => {
      const endpoint = this.endpoints[i];
      return endpoint && outcome.status === 'fulfilled' ? [{ endpoint, chainId: outcome.value }] : [];
    });
    const [first] = known;
    if (!first) throw explainNone(this.endpoints, outcomes);
    const expected = this.options.chainId ?? first.chainId;
    const stray = known.find(({ chainId }) => chainId !== expected);
    if (stray) throw wrongChain(stray.endpoint.name, stray.chainId, expected, this.options.chainId === undefined);
    this.expected = expected;
    for (const { endpoint } of known) endpoint.confirmChain();
    const reached = new Set(known.map(({ endpoint }) => endpoint));
    for (const endpoint of this.endpoints.filter((one) => !reached.has(one))) {
      this.deps.logger.warn('Endpoint does not answer; going on without it', { endpoint: endpoint.name });
    }
  }

  private async fetchChainId(endpoint: Endpoint): Promise<number> {
    const signal = AbortSignal.any([this.closer.signal, AbortSignal.timeout(START_MS)]);
    const timeoutMs = Math.min(START_MS, this.answerMs);
    const { answer } = await this.tryInRounds(
      () => [endpoint],
      (one) => one.requestChainId(timeoutMs, signal),
      signal,
    );
    const chainId = Number(answer.result);
    if (!answer.result || !Number.isSafeInteger(chainId)) {
      const words = answer.error ? `: "${answer.error.message}"` : '';
      throw new EndpointTrouble(answer.error ? 'broken' : 'alien', `does not say which chain it is on${words}`);
    }
    return chainId;
  }

  private postInOrder(payload: RpcPayload, lastResort: readonly number[], signal: AbortSignal): Promise<Reply> {
    return this.postTo(() => this.inOrder(lastResort), payload, signal);
  }

  private postTo(candidates: () => readonly Endpoint[], payload: RpcPayload, signal: AbortSignal): Promise<Reply> {
    return this.tryInRounds(candidates, (endpoint) => endpoint.post(payload, this.expected, signal), signal);
  }

  /** Healthy endpoints first; otherwise in the order of the configuration. */
  private inOrder(lastResort: readonly number[]): Endpoint[] {
    const rank = ({ index, isHealthy }: Endpoint) => (isHealthy ? 0 : 2) + (lastResort.includes(index) ? 1 : 0);
    return [...this.endpoints].sort((a, b) => rank(a) - rank(b) || a.index - b.index);
  }

  /**
   * Tries one endpoint after the other; starts over after a pause when at least one of them was only busy.
   */
  private async tryInRounds(
    candidates: () => readonly Endpoint[],
    attempt: (endpoint: Endpoint) => Promise<RpcAnswer>,
    signal: AbortSignal,
  ): Promise<Reply> {
    for (let round = 1; ; round += 1) {
      const failures: Failure[] = [];
      for (const endpoint of candidates()) {
        try {
          return { answer: await attempt(endpoint), by: endpoint.index };
        } catch (error) {
          if (!(error instanceof EndpointTrouble)) throw error;
          failures.push([endpoint, error]);
        }
      }
      const pauseMs = pauseAfter(failures, round);
      if (pauseMs === undefined) return giveUp(failures);
      await this.deps.clock.sleep(pauseMs, signal);
    }
  }

  /**
   * Accepts "no receipt" only from every endpoint: mistaking it for "not mined" can send a transaction's
   * effect twice.
   */
  private async lookElsewhere(payload: RpcPayload, first: Reply, signal: AbortSignal): Promise<Reply> {
    const asked: number[] = [];
    for (let reply = first; ; reply = await this.postInOrder(payload, asked, signal)) {
      if (reply.answer.result !== null || asked.includes(reply.by)) return reply;
      asked.push(reply.by);
      if (asked.length === this.size) return reply;
    }
  }

  /**
   * Returns the first acceptance; when every endpoint refuses, the refusal of the first in order that gives
   * one.
   */
  private async broadcast(payload: RpcPayload): Promise<Reply> {
    const usable = this.endpoints.filter(({ isUsable }) => isUsable);
    const attempts = usable.map((endpoint) => this.postTo(() => [endpoint], payload, this.closer.signal));
    const accepted = attempts.map(async (attempt) => {
      const reply = await attempt;
      if (reply.answer.error) throw new RpcError(reply.answer.error.code, reply.answer.error.message);
      return reply;
    });
    try {
      return await Promise.any(accepted);
    } catch {
      const outcomes = await Promise.allSettled(attempts);
      const refusal = outcomes.find((outcome) => outcome.status === 'fulfilled');
      if (refusal) return refusal.value;
      throw (outcomes[0] as PromiseRejectedResult | undefined)?.reason ?? new Error('No endpoint is left');
    }
  }
}

/**
 * Milliseconds until another round is worth it; undefined when none is. Jittered, so that readers do not
 * retry in step.
 */
function pauseAfter(failures: readonly Failure[], round: number): number | undefined {
  const busy = failures.filter(([, { kind }]) => kind === 'busy');
  if (busy.length === 0 || round >= MAX_ROUNDS) return undefined;
  const backOffMs = FIRST_PAUSE_MS * 2 ** (round - 1) * (0.5 + Math.random());
  const wantedMs = Math.min(...busy.map(([, { retryAfterMs }]) => retryAfterMs ?? 0));
  const pauseMs = wantedMs > 0 ? wantedMs + Math.random() * FIRST_PAUSE_MS : backOffMs;
  return pauseMs > MAX_PAUSE_MS ? undefined : pauseMs;
}

/** When an endpoint is behind, its own error is an answer too; otherwise throws `NoEndpointAnswers`. */
function giveUp(failures: readonly Failure[]): Reply {
  for (const [endpoint, { kind, answer }] of failures) {
    if (kind === 'behind' && answer) return { answer, by: endpoint.index };
  }
  throw new NoEndpointAnswers(failures.map(([{ name }, trouble]) => [name, trouble]));
}

/** Not an `AppError`: every caller retries by itself, and only at start does it concern the operator. */
export class NoEndpointAnswers extends Error {
  override readonly name = 'NoEndpointAnswers';
  /** At least one endpoint was asked and took too long, e.g. because the request was too large. */
  readonly isSlow: boolean;

  constructor(troubles: readonly (readonly [string, EndpointTrouble])[]) {
    const words = troubles.map(([name, { message }]) => `${name} ${message}`).join('; ');
    super(`No Ethereum node can be used: ${words}`, { cause: troubles[0]?.[1] });
    this.isSlow = troubles.some(([, { kind }]) => kind === 'slow');
  }
}

/** Returns why no endpoint can be used at the start, in the words of each that has answered. */
function explainNone(
  endpoints: readonly Endpoint[],
  outcomes: readonly PromiseSettledResult<unknown>[],
): AppError<EndpointError> {
  const where = endpoints.map(({ name }) => name).join(', ');
  const causes = outcomes.map((outcome) => (outcome.status === 'rejected' ? troubleOf(outcome.reason) : undefined));
  const answers = endpoints.flatMap(({ name }, i) => (causes[i]?.isAnswer ? [`${name} ${causes[i].message}`] : []));
  const kinds = new Set(causes.map((cause) => (cause?.isAnswer ? cause.kind : 'broken')));
  const [only] = kinds.size === 1 ? kinds : [];
  const { code, remedy } = remedies[only ?? ''] ?? {
    code: 'chain/unreachable',
    remedy: 'correct `endpoint`, or start the node',
  };
  const trouble = answers.length > 0 ? answers.join('; ') : `No Ethereum node answers at ${where}`;
  return new AppError({ code, endpoint: where }, `${trouble}; ${remedy}.`, { cause: causes[0] });
}

/** What to do where every endpoint has the same trouble. */
const remedies: Record<string, { code: UnusableCode; remedy: string }> = {
  refused: { code: 'chain/no-access', remedy: 'correct the key in `endpoint`' },
  alien: { code: 'chain/not-a-node', remedy: 'set `endpoint` to the JSON-RPC address of an Ethereum node' },
  busy: { code: 'chain/unreachable', remedy: 'wait, or use another node' },
};

/** Finds what an endpoint's last attempt failed of. */
function troubleOf(error: unknown): EndpointTrouble | undefined {
  const cause = error instanceof NoEndpointAnswers ? error.cause : error;
  return cause instanceof EndpointTrouble ? cause : undefined;
}

function wrongChain(where: string, chainId: number, expected: number, isByOthers: boolean): AppError<EndpointError> {
  const wanted = isByOthers ? `other endpoints are chain ${expected}` : `chainId in the configuration is ${expected}`;
  return new AppError(
    { code: 'chain/wrong-chain', endpoint: where, chainId, expected },
    `${where} is chain ${chainId}, but ${wanted}; correct one of them.`,
  );
}
