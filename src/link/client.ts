import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { AppError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { BlobRef } from '../protocol/blob-ref';
import { CHALLENGE_TTL_MS, MasterMessage, type Offer, type WorkerMessageIn } from '../protocol/link';
import { dialMaster, type ProvenMaster, refused } from './dial';
import { cut, hasCode, type LinkError } from './errors';
import { KeyedLock } from './keyed-lock';
import type { LinkBlobs, LinkWallet, PullOptions, RecoverTyped } from './ports';
import { Session } from './session';
import { whenClosed } from './socket';
import { Window } from './window';

/** What may be under way to a worker at most. */
const POOL_BYTES = 32 * 1024 * 1024;
const BACKOFF_MS = { first: 200, last: 15_000 };
const REFUSED_PAUSE_MS = 30_000;
/** A connection that held this long was a good one: the next pause is the first again. */
const GOOD_CONNECTION_MS = 5_000;
/** Clocks that differ by more make deadlines misleading. */
const MAX_SKEW_MS = 5_000;
const MAX_CORRUPT = 3;

type MasterLink = Session<WorkerMessageIn>;

export interface LinkClientOptions {
  /** `ws://` or `wss://`, with the path `/link`. */
  url: string;
  chainId: number;
  /** The only master we sign for. Without it the first master met is pinned. */
  masterAddress?: Address | undefined;
  /** Of this program. */
  version: string;
  /** Pauses between attempts: doubled from the first to the last, with jitter. Default 200 and 15,000. */
  backoffMs?: { first: number; last: number } | undefined;
  /** Pause after a refusal. Default 30,000. */
  refusedPauseMs?: number | undefined;
}

export interface LinkClientDeps {
  wallet: LinkWallet;
  recoverTyped: RecoverTyped;
  blobs: LinkBlobs;
  /** Asked at every connection, so that what we hold is told as it is now. `version` is filled in by the link. */
  offer(): Omit<Offer, 'version'> | Promise<Omit<Offer, 'version'>>;
  /** Remembers the first master met; unused when `masterAddress` is set. */
  pinned: { load(): Promise<Address | undefined>; save(master: Address): Promise<void> };
  handlers: LinkClientHandlers;
  logger: Logger;
  clock: Clock;
  /** Ends the link for good. */
  signal?: AbortSignal | undefined;
}

export interface LinkClientHandlers {
  onWelcome(master: { address: Address; session: string }): void;
  /** Everything but heartbeats and transfers, which the link keeps to itself. */
  onMessage(message: MasterMessage): void;
  /** `isOurs`: we end the link for good, and connect no more. */
  onClose(reason: string, isOurs: boolean): void;
}

/** The worker's side of the link: always one socket, or on its way to one. */
export interface LinkClient extends AsyncDisposable {
  readonly connected: boolean;
  /** False when there is no socket: say it again in `onWelcome` if it still matters. */
  send(message: WorkerMessageIn): boolean;
  /**
   * Brings a blob of the master into our store, across as many connections as it takes. Rejects when the master does not
   * have it (`link/unavailable`), when it arrives wrong three times (`link/corrupt`), or with the signal's reason.
   */
  pull(blob: BlobRef, options?: PullOptions): Promise<void>;
}

/** Starts connecting at once and goes on until it is disposed of. */
export function openLinkClient(options: LinkClientOptions, deps: LinkClientDeps): LinkClient {
  return new MasterDialer(options, deps);
}

class MasterDialer implements LinkClient {
  private link: MasterLink | undefined;
  private waiting: (() => void)[] = [];
  private readonly pool = new Window(POOL_BYTES);
  private readonly writers = new KeyedLock();
  private readonly closing = new AbortController();
  private readonly signal: AbortSignal;
  private readonly finished: Promise<void>;

  constructor(
    private readonly options: LinkClientOptions,
    private readonly deps: LinkClientDeps,
  ) {
    const { signal } = this.closing;
    this.signal = deps.signal ? AbortSignal.any([signal, deps.signal]) : signal;
    this.finished = this.run();
  }

  get connected(): boolean {
    return this.link !== undefined;
  }

  send(message: WorkerMessageIn): boolean {
    return this.link?.send(message) ?? false;
  }

  async pull(blob: BlobRef, options: PullOptions = {}): Promise<void> {
    const signal = options.signal ? AbortSignal.any([options.signal, this.signal]) : this.signal;
    for (let corrupt = 0; ; ) {
      const link = await this.connection(signal);
      try {
        return await link.pull(blob, { ...options, signal });
      } catch (error) {
        signal.throwIfAborted();
        if (hasCode(error, 'link/corrupt')) corrupt += 1;
        else if (!hasCode(error, 'link/cut') && !hasCode(error, 'link/stalled')) throw error;
        if (corrupt >= MAX_CORRUPT) throw error;
        this.deps.logger.warn('A transfer goes on', { sha256: blob.sha256 }, error);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing.abort(cut('the worker stops'));
    await this.finished;
  }

  private async run(): Promise<void> {
    let attempt = 0;
    while (!this.signal.aborted) {
      const { pause, lastedMs } = await this.connectOnce();
      attempt = lastedMs > GOOD_CONNECTION_MS ? 0 : attempt + 1;
      const pauseMs = pause === 'long' ? (this.options.refusedPauseMs ?? REFUSED_PAUSE_MS) : this.backoffMs(attempt);
      await this.deps.clock.sleep(pauseMs, this.signal).catch(() => {});
    }
  }

  /** One connection from the dial to its end, whatever that is. */
  private async connectOnce(): Promise<{ pause: 'short' | 'long'; lastedMs: number }> {
    const { logger, clock } = this.deps;
    let welcomedAtMs: number | undefined;
    const lastedMs = () => (welcomedAtMs === undefined ? 0 : clock.now() - welcomedAtMs);
    try {
      const master = await this.dial();
      welcomedAtMs = clock.now();
      await this.hold(master);
      return { pause: 'short', lastedMs: lastedMs() };
    } catch (error) {
      if (this.signal.aborted) return { pause: 'short', lastedMs: 0 };
      const passes = ['link/cut', 'link/busy', 'link/unreachable'] as const;
      const isPassing = passes.some((code) => hasCode(error, code));
      logger.warn(isPassing ? 'Not connected to the master' : 'The master and this worker do not agree', {}, error);
      return { pause: isPassing ? 'short' : 'long', lastedMs: lastedMs() };
    }
  }

  private async dial(): Promise<ProvenMaster> {
    const { pinned, logger, clock } = this.deps;
    const known = this.options.masterAddress ?? (await pinned.load());
    const proven = await dialMaster({ ...this.options, master: known }, { ...this.deps, signal: this.signal });
    if (!known) {
      logger.info('From now on this worker works for this master only', { master: proven.address });
      void pinned.save(proven.address).catch((error) => logger.error('The master could not be pinned', {}, error));
    }
    const skewMs = proven.expiresAtMs - CHALLENGE_TTL_MS - clock.now();
    if (Math.abs(skewMs) > MAX_SKEW_MS) logger.warn("This clock and the master's differ; set the time", { skewMs });
    return proven;
  }

  /** Runs a session to its end; throws what the master refused us for. */
  private hold(master: ProvenMaster): Promise<void> {
    const { handlers, blobs, logger } = this.deps;
    return new Promise((resolve, reject) => {
      let why: AppError<LinkError> | undefined;
      const stop = () => this.leave(link);
      const link: MasterLink = new Session<WorkerMessageIn>(
        {
          socket: master.socket,
          schema: MasterMessage,
          keys: { incoming: master.keys.toWorker, outgoing: master.keys.toMaster },
          heartbeatMs: master.heartbeatMs,
          farewell: (code, reason) => ({ type: 'bye', reason: `${code}: ${reason}`.slice(0, 500) }),
        },
        {
          blobs,
          pool: this.pool,
          writers: this.writers,
          logger,
          onMessage: (raw) => {
            const message = raw as MasterMessage;
            if (message.type === 'refused') why = refused(message.code, message.reason);
            this.onMessage(link, message);
          },
          onEnd: (reason) => {
            this.link = undefined;
            this.signal.removeEventListener('abort', stop);
            handlers.onClose(reason, this.signal.aborted);
            whenClosed(master.socket, () => (why ? reject(why) : resolve()));
          },
        },
      );
      this.signal.addEventListener('abort', stop, { once: true });
      this.welcome(link, master);
    });
  }

  private welcome(link: MasterLink, master: ProvenMaster): void {
    this.link = link;
    this.deps.logger.info('Connected to the master', { master: master.address, url: this.options.url });
    this.deps.handlers.onWelcome({ address: master.address, session: master.session });
    link.replay(master.frames);
    for (const go of this.waiting.splice(0)) go();
    if (this.signal.aborted) this.leave(link);
  }

  private onMessage(link: MasterLink, message: MasterMessage): void {
    if (message.type === 'ping') link.send({ type: 'pong', atMs: message.atMs });
    else if (message.type === 'refused') link.close(message.reason);
    else this.deps.handlers.onMessage(message);
  }

  private leave(link: MasterLink): void {
    link.send({ type: 'bye', reason: 'the worker stops' });
    link.close('the worker stops');
  }

  /** The session there is, or the next one. */
  private async connection(signal: AbortSignal): Promise<MasterLink> {
    for (;;) {
      signal.throwIfAborted();
      if (this.link) return this.link;
      await new Promise<void>((resolve) => {
        const go = () => {
          signal.removeEventListener('abort', go);
          resolve();
        };
        this.waiting.push(go);
        signal.addEventListener('abort', go, { once: true });
      });
    }
  }

  /** Doubled from attempt to attempt; half of it is chance, so that workers of a restarted master do not come in step. */
  private backoffMs(attempt: number): number {
    const { first, last } = this.options.backoffMs ?? BACKOFF_MS;
    return Math.min(last, first * 2 ** Math.max(0, attempt - 1)) * (0.5 + Math.random() / 2);
  }
}
