/** The worker's side of the link: keeps one connection to the master and dials again whenever it is lost. */
import type { Address, Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { AppError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { BlobRef } from '../protocol/blob-ref';
import { CHALLENGE_TTL_MS, MasterMessage, type Offer, type WorkerMessageIn } from '../protocol/link';
import { Beats } from './beats';
import { dialMaster, type ProvenMaster, refused } from './dial';
import { cut, hasCode, type LinkError } from './errors';
import { KeyedLock } from './keyed-lock';
import type { LinkBlobs, LinkWallet, PullOptions, RecoverTyped } from './ports';
import { Session } from './session';
import { whenClosed } from './socket';
import { STALL_MS } from './transfer';
import { Window } from './window';

/** Bytes of all transfers to this worker that may be in flight at once. */
const POOL_BYTES = 64 * 1024 * 1024;
const BACKOFF_MS = { first: 200, last: 15_000 };
const REFUSED_PAUSE_MS = 30_000;
/** A larger difference between the clocks makes deadlines misleading. */
const MAX_SKEW_MS = 5_000;
const MAX_CORRUPT = 3;

type MasterLink = Session<MasterMessage, WorkerMessageIn>;

export interface LinkClientOptions {
  /** `ws://` or `wss://`, with the path `/link`. */
  url: string;
  chainId: number;
  /** The only master to sign for. Without it, the first master met is pinned. */
  masterAddress?: Address | undefined;
  /** Version of this program. */
  version: string;
  /** Pauses between failed attempts: doubled from first to last, with jitter. Default 200 and 15,000. */
  backoffMs?: { first: number; last: number } | undefined;
  /** Pause after a refusal, in milliseconds. Default 30,000. */
  refusedPauseMs?: number | undefined;
  /** Milliseconds that a transfer may stand still. Default 60,000. */
  stallMs?: number | undefined;
}

export interface LinkClientDeps {
  wallet: LinkWallet;
  recoverTyped: RecoverTyped;
  blobs: LinkBlobs;
  /** Whether this worker has named the blob to its master. */
  mayPull(sha256: Sha256): boolean;
  /** Called for every connection, so that the held lease is current. The link fills in `version`. */
  offer(): Omit<Offer, 'version'> | Promise<Omit<Offer, 'version'>>;
  /** Persists the first master met; unused when `masterAddress` is set. */
  pinned: { load(): Promise<Address | undefined>; save(master: Address): Promise<void> };
  handlers: LinkClientHandlers;
  logger: Logger;
  clock: Clock;
  /** Ends the link for good. */
  signal?: AbortSignal | undefined;
}

export interface LinkClientHandlers {
  onWelcome(master: { address: Address; session: string }): void;
  /** Receives every message except heartbeats and transfers, which the link handles itself. */
  onMessage(message: MasterMessage): void;
  /** `isFinal`: this process ended the link and will not reconnect. */
  onClose(reason: string, isFinal: boolean): void;
}

/** A link that is always connected or connecting, until it is disposed of. */
export interface LinkClient extends AsyncDisposable {
  readonly connected: boolean;
  /** Returns false when not connected: send again from `onWelcome` if the message still matters. */
  send(message: WorkerMessageIn): boolean;
  /**
   * Fetches a blob from the master into this worker's store, across as many connections as it takes. Rejects
   * when the master does not have it (`link/unavailable`), when its hash is wrong three times
   * (`link/corrupt`), or with the signal's reason.
   */
  pull(blob: BlobRef, options?: PullOptions): Promise<void>;
}

/** Starts connecting at once and keeps a connection until it is disposed of. */
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
        this.deps.logger.warn('Resuming a transfer', { sha256: blob.sha256 }, error);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing.abort(cut('the worker is stopping'));
    await this.finished;
  }

  private async run(): Promise<void> {
    let attempt = 0;
    while (!this.signal.aborted) {
      const { pause, wasWelcomed } = await this.connectOnce();
      // A master that comes and goes is not to be waited for longer each time.
      attempt = wasWelcomed ? 0 : attempt + 1;
      const pauseMs = pause === 'long' ? (this.options.refusedPauseMs ?? REFUSED_PAUSE_MS) : this.backoffMs(attempt);
      await this.deps.clock.sleep(pauseMs, this.signal).catch(() => {});
    }
  }

  /** Runs one connection from the dial to its end. Never throws; returns which pause should follow. */
  private async connectOnce(): Promise<{ pause: 'short' | 'long'; wasWelcomed: boolean }> {
    let wasWelcomed = false;
    try {
      const master = await this.dial();
      wasWelcomed = true;
      await this.hold(master);
      return { pause: 'short', wasWelcomed };
    } catch (error) {
      if (this.signal.aborted) return { pause: 'short', wasWelcomed };
      const passes = ['link/cut', 'link/busy', 'link/unreachable'] as const;
      const isPassing = passes.some((code) => hasCode(error, code));
      const message = isPassing ? 'Not connected to the master' : 'The handshake with the master failed';
      this.deps.logger.warn(message, {}, error);
      return { pause: isPassing ? 'short' : 'long', wasWelcomed };
    }
  }

  private async dial(): Promise<ProvenMaster> {
    const { pinned, logger, clock } = this.deps;
    const known = this.options.masterAddress ?? (await pinned.load());
    const proven = await dialMaster({ ...this.options, master: known }, { ...this.deps, signal: this.signal });
    if (!known) {
      logger.info('Pinned the master; this worker will accept no other', { master: proven.address });
      void pinned.save(proven.address).catch((error) => logger.error('Could not save the pinned master', {}, error));
    }
    const skewMs = proven.expiresAtMs - CHALLENGE_TTL_MS - clock.now();
    if (Math.abs(skewMs) > MAX_SKEW_MS)
      logger.warn('The clocks of this machine and the master differ; set the time', { skewMs });
    return proven;
  }

  /** Runs a session to its end. Throws the reason if the master refused this worker. */
  private hold(master: ProvenMaster): Promise<void> {
    const { handlers, blobs, mayPull, logger } = this.deps;
    const { socket, keys, heartbeatMs } = master;
    const { stallMs = STALL_MS } = this.options;
    const beats = new Beats(heartbeatMs);
    return new Promise((resolve, reject) => {
      let why: AppError<LinkError> | undefined;
      const stop = () => this.leave(link);
      const link: MasterLink = new Session<MasterMessage, WorkerMessageIn>(
        socket,
        { incoming: keys.toWorker, outgoing: keys.toMaster },
        { schema: MasterMessage, heartbeatMs, beats, stallMs, blobs, pool: this.pool, writers: this.writers },
        {
          logger,
          mayPull,
          farewell: (code, reason) => ({ type: 'bye', reason: `${code}: ${reason}`.slice(0, 500) }),
          onMessage: (message) => {
            if (message.type === 'refused') why = refused(message.code, message.reason);
            this.onMessage(link, message);
          },
          onEnd: (reason) => {
            this.link = undefined;
            this.signal.removeEventListener('abort', stop);
            handlers.onClose(reason, this.signal.aborted);
            whenClosed(socket, () => (why ? reject(why) : resolve()));
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
    link.send({ type: 'bye', reason: 'the worker is stopping' });
    link.close('the worker is stopping');
  }

  /** Returns the present session, or waits for the next. */
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

  /**
   * Doubles with every attempt; half is random, so that a restarted master's workers do not reconnect in
   * step.
   */
  private backoffMs(attempt: number): number {
    const { first, last } = this.options.backoffMs ?? BACKOFF_MS;
    return Math.min(last, first * 2 ** Math.max(0, attempt - 1)) * (0.5 + Math.random() / 2);
  }
}
