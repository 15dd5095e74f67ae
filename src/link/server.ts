import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { BlobRef } from '../protocol/blob-ref';
import { type MasterMessageIn, type Offer, SUBPROTOCOL, WorkerMessage } from '../protocol/link';
import { acceptWorker, type ProvenWorker } from './accept';
import { cut, hasCode, refusal } from './errors';
import { KeyedLock } from './keyed-lock';
import type { LinkBlobs, LinkWallet, PullOptions, RecoverTyped } from './ports';
import { Session } from './session';
import { offersSubprotocol, SOCKET_OPTIONS, sendRefusal } from './socket';
import { Window } from './window';

/** What may be under way from all workers together, and so in our memory, at most. */
const POOL_BYTES = 128 * 1024 * 1024;
const HANDSHAKE_MS = 5_000;
const MAX_UNPROVEN = 256;

/** A worker that proved its address, as long as its socket lives. */
export interface Peer {
  readonly address: Address;
  readonly offer: Offer;
  readonly ip: string;
  readonly session: string;
  readonly connectedAtMs: number;
  /** Does nothing when the socket is gone; the worker's return tells the master. */
  send(message: MasterMessageIn): void;
  /**
   * Brings a blob of the worker into our store; resolves at once when it is there already. Rejects with `link/cut` when
   * the socket goes; pulling again from the worker's next peer goes on where it stopped.
   */
  pull(blob: BlobRef, options?: PullOptions): Promise<void>;
  /** Tells the worker why and hangs up; it will try again after a longer pause. */
  close(reason: string): void;
}

export interface LinkServerOptions {
  /** Upgrade requests on `path` are the link's; all others are refused. */
  server: Server;
  path: string;
  chainId: number;
  /** Of this program; another major version is refused. */
  version: string;
  heartbeatMs: number;
  /** Milliseconds from the TCP connection to a proven address. Default 5,000. */
  handshakeMs?: number | undefined;
  /** Sockets that have not proved themselves yet. More are refused with 503. Default 256. */
  maxUnproven?: number | undefined;
}

export interface LinkServerDeps {
  wallet: LinkWallet;
  recoverTyped: RecoverTyped;
  blobs: LinkBlobs;
  isAllowedIp(ip: string): boolean;
  isBlocked(worker: Address): boolean | Promise<boolean>;
  handlers: LinkServerHandlers;
  logger: Logger;
  clock: Clock;
}

export interface LinkServerHandlers {
  onConnect(peer: Peer): void;
  /** Everything but heartbeats and transfers, which the link keeps to itself. */
  onMessage(peer: Peer, message: WorkerMessage): void;
  onClose(peer: Peer, reason: string): void;
}

export interface LinkServer extends AsyncDisposable {
  readonly peers: ReadonlyMap<Address, Peer>;
}

/** Lets workers in on an HTTP server that somebody else listens with. Close it before that server. */
export function openLinkServer(options: LinkServerOptions, deps: LinkServerDeps): LinkServer {
  return new WorkerGate(options, deps);
}

class WorkerGate implements LinkServer {
  readonly peers = new Map<Address, Connection>();
  private readonly sockets = new WebSocketServer({
    noServer: true,
    ...SOCKET_OPTIONS,
    handleProtocols: () => SUBPROTOCOL,
  });
  private readonly pool = new Window(POOL_BYTES);
  private readonly writers = new KeyedLock();
  private readonly closing = new AbortController();
  private unproven = 0;

  constructor(
    private readonly options: LinkServerOptions,
    private readonly deps: LinkServerDeps,
  ) {
    options.server.on('upgrade', this.onUpgrade);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.options.server.off('upgrade', this.onUpgrade);
    this.closing.abort(cut('the master stops'));
    for (const connection of [...this.peers.values()]) connection.worker.close('the master stops', 1001);
    const open = [...this.sockets.clients];
    await Promise.all(open.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  }

  private readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const ip = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const denied = this.deny(request, ip);
    if (denied) {
      this.deps.logger.warn('Refused a connection', { ip, code: denied.code });
      denyUpgrade(socket, denied);
      return;
    }
    this.unproven += 1;
    const release = once(() => {
      this.unproven -= 1;
    });
    socket.once('close', release);
    this.sockets.handleUpgrade(request, socket, head, (webSocket) => void this.greet(webSocket, ip, release));
  };

  private deny(request: IncomingMessage, ip: string): Denial | undefined {
    if (request.url?.split('?')[0] !== this.options.path) {
      return { status: '404 Not Found', code: 'link/unreachable', reason: 'There is no link at this path.' };
    }
    if (!this.deps.isAllowedIp(ip)) {
      return {
        status: '403 Forbidden',
        code: 'link/forbidden-ip',
        reason: `The master's worker_whitelist does not name ${ip}.`,
      };
    }
    if (!offersSubprotocol(request.headers['sec-websocket-protocol'])) {
      return { status: '400 Bad Request', code: 'link/subprotocol', reason: `This master speaks ${SUBPROTOCOL} only.` };
    }
    if (this.unproven >= (this.options.maxUnproven ?? MAX_UNPROVEN)) {
      return {
        status: '503 Service Unavailable',
        code: 'link/busy',
        reason: 'Too many workers connect at once; try again.',
      };
    }
    return undefined;
  }

  private async greet(socket: WebSocket, ip: string, release: () => void): Promise<void> {
    const { logger } = this.deps;
    // Broken frames end in `close`; without a listener they would end the process.
    socket.on('error', (error) => logger.debug('A socket failed', { ip }, error));
    try {
      const handshakeMs = this.options.handshakeMs ?? HANDSHAKE_MS;
      const proven = await acceptWorker(
        socket,
        { ...this.options, handshakeMs },
        { ...this.deps, signal: this.closing.signal },
      );
      this.connect(socket, ip, proven);
    } catch (error) {
      if (!hasCode(error, 'link/cut')) logger.warn('Refused a worker', { ip }, error);
      sendRefusal(socket, error);
    } finally {
      release();
    }
  }

  private connect(socket: WebSocket, ip: string, proven: ProvenWorker): void {
    const { address } = proven;
    this.peers.get(address)?.worker.refuse(refusal('link/replaced', 'The same worker connected anew.'));
    const { handlers, blobs, logger, clock } = this.deps;
    const worker = new Session<MasterMessageIn>(
      {
        socket,
        schema: WorkerMessage,
        keys: { incoming: proven.keys.toMaster, outgoing: proven.keys.toWorker },
        heartbeatMs: this.options.heartbeatMs,
        beat: () => ({ type: 'ping', atMs: clock.now() }),
        farewell: (code, reason) => ({ type: 'refused', code, reason }),
      },
      {
        blobs,
        pool: this.pool,
        writers: this.writers,
        logger: logger.child({ worker: address }),
        onMessage: (message) => this.onMessage(connection, message as WorkerMessage),
        onEnd: (reason) => {
          if (this.peers.get(address) === connection) this.peers.delete(address);
          handlers.onClose(connection, reason);
        },
      },
    );
    const connection = new Connection(proven, ip, clock.now(), worker);
    this.peers.set(address, connection);
    handlers.onConnect(connection);
  }

  private onMessage(connection: Connection, message: WorkerMessage): void {
    if (message.type === 'pong') return;
    if (message.type === 'bye') connection.worker.close(message.reason);
    else if (message.type === 'hello') connection.worker.refuse(refusal('link/out-of-order', 'A second hello came.'));
    else this.deps.handlers.onMessage(connection, message);
  }
}

class Connection implements Peer {
  readonly address: Address;
  readonly offer: Offer;
  readonly session: string;

  constructor(
    proven: ProvenWorker,
    readonly ip: string,
    readonly connectedAtMs: number,
    readonly worker: Session<MasterMessageIn>,
  ) {
    this.address = proven.address;
    this.offer = proven.offer;
    this.session = proven.session;
  }

  send(message: MasterMessageIn): void {
    this.worker.send(message);
  }

  pull(blob: BlobRef, options?: PullOptions): Promise<void> {
    return this.worker.pull(blob, options);
  }

  close(reason: string): void {
    this.worker.refuse(refusal('link/disconnected', reason));
  }
}

interface Denial {
  status: string;
  code: string;
  reason: string;
}

/** Answers an upgrade request with the reason as JSON, which our client reads. */
function denyUpgrade(socket: Duplex, { status, code, reason }: Denial): void {
  const body = JSON.stringify({ code, reason });
  socket.on('error', () => {});
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}
