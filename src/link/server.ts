/** The master's side of the link: lets workers in, one connection per address. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Address, Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { BlobRef } from '../protocol/blob-ref';
import { type MasterMessageIn, type Offer, SUBPROTOCOL, WorkerMessage } from '../protocol/link';
import { acceptWorker, type ProvenWorker } from './accept';
import { Beats } from './beats';
import { cut, hasCode, refusal } from './errors';
import { KeyedLock } from './keyed-lock';
import type { LinkBlobs, LinkWallet, PullOptions, RecoverTyped } from './ports';
import { Session, type SessionHost, type SessionRules } from './session';
import { offersSubprotocol, SOCKET_OPTIONS, sendRefusal } from './socket';
import type { Traffic } from './traffic';
import { STALL_MS } from './transfer';
import { Window } from './window';

/** Bytes in flight from all workers together, and so in memory, at most. */
const POOL_BYTES = 128 * 1024 * 1024;
const HANDSHAKE_MS = 5_000;
const MAX_UNPROVEN = 256;
/** How long a connected worker may take to show that it is there before another takes its place. */
const ANSWER_MS = 2_000;

/** A worker that proved its address, for as long as its socket is open. */
export interface Peer {
  readonly address: Address;
  readonly offer: Offer;
  readonly ip: string;
  readonly session: string;
  readonly connectedAtMs: number;
  /** What blobs took on the present socket, to the worker and from it. */
  readonly traffic: { readonly sent: Traffic; readonly received: Traffic };
  /** Does nothing when the socket is closed; a message that still matters is sent again on reconnect. */
  send(message: MasterMessageIn): void;
  /**
   * Fetches a blob from the worker into the master's store; resolves at once when it is stored already.
   * Rejects with `link/cut` when the socket closes; a pull from the worker's next connection resumes where it
   * stopped.
   */
  pull(blob: BlobRef, options?: PullOptions): Promise<void>;
  /** Sends the worker the reason and hangs up; the worker tries again after a longer pause. */
  close(reason: string): void;
}

export interface LinkServerOptions {
  /** Upgrade requests for `path` belong to the link; all others are refused. */
  server: Server;
  path: string;
  chainId: number;
  /** Version of this program; workers of another major version are refused. */
  version: string;
  heartbeatMs: number;
  /** Milliseconds from the TCP connection to a proven address. Default 5,000. */
  handshakeMs?: number | undefined;
  /** Sockets in the middle of the handshake; more are refused with 503. Default 256. */
  maxUnproven?: number | undefined;
  /** Milliseconds that a transfer may stand still. Default 60,000. */
  stallMs?: number | undefined;
  /** Milliseconds a connected worker has to answer when its address connects once more. Default 2,000. */
  answerMs?: number | undefined;
}

export interface LinkServerDeps {
  wallet: LinkWallet;
  recoverTyped: RecoverTyped;
  blobs: LinkBlobs;
  /** Returns the address of the client, which may be behind a proxy. */
  clientAddress(request: IncomingMessage): string;
  isAllowedIp(ip: string): boolean;
  isBlocked(worker: Address): boolean | Promise<boolean>;
  /** Whether this master has named the blob to the worker for what it does now. */
  mayPull(worker: Address, sha256: Sha256): boolean | Promise<boolean>;
  handlers: LinkServerHandlers;
  logger: Logger;
  clock: Clock;
}

export interface LinkServerHandlers {
  onConnect(peer: Peer): void;
  /** Receives every message except heartbeats and transfers, which the link handles itself. */
  onMessage(peer: Peer, message: WorkerMessage): void;
  onClose(peer: Peer, reason: string): void;
}

export interface LinkServer extends AsyncDisposable {
  readonly peers: ReadonlyMap<Address, Peer>;
}

/** Accepts workers on an HTTP server that the caller owns. Close the link before that server. */
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
  readonly rules: SessionRules<WorkerMessage>;
  private readonly closing = new AbortController();
  private unproven = 0;

  constructor(
    private readonly options: LinkServerOptions,
    readonly deps: LinkServerDeps,
  ) {
    const { heartbeatMs, stallMs = STALL_MS } = options;
    const beats = new Beats(heartbeatMs);
    const shared = { beats, blobs: deps.blobs, pool: new Window(POOL_BYTES), writers: new KeyedLock() };
    this.rules = { schema: WorkerMessage, heartbeatMs, stallMs, ...shared };
    options.server.on('upgrade', this.onUpgrade);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.options.server.off('upgrade', this.onUpgrade);
    this.closing.abort(cut('the master is stopping'));
    for (const connection of [...this.peers.values()]) connection.worker.close('the master is stopping', 1001);
    const open = [...this.sockets.clients];
    await Promise.all(open.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  }

  private readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const ip = this.deps.clientAddress(request);
    const denied = this.deny(request, ip);
    if (denied) {
      this.deps.logger.warn('Refused a connection', { ip, code: denied.code });
      denyUpgrade(socket, denied);
      return;
    }
    this.unproven += 1;
    const release = once(() => {
      socket.off('close', release);
      this.unproven -= 1;
    });
    socket.once('close', release);
    this.sockets.handleUpgrade(request, socket, head, (webSocket) => void this.greet(webSocket, ip, release));
  };

  private deny(request: IncomingMessage, ip: string): Denial | undefined {
    if (request.url?.split('?')[0] !== this.options.path) {
      return { status: '404 Not Found', code: 'link/unreachable', reason: 'Workers do not connect at this path.' };
    }
    if (!this.deps.isAllowedIp(ip)) {
      return {
        status: '403 Forbidden',
        code: 'link/forbidden-ip',
        reason: `The master's worker_whitelist does not include ${ip}.`,
      };
    }
    if (!offersSubprotocol(request.headers['sec-websocket-protocol'])) {
      return { status: '400 Bad Request', code: 'link/subprotocol', reason: `This master speaks ${SUBPROTOCOL} only.` };
    }
    if (this.unproven >= (this.options.maxUnproven ?? MAX_UNPROVEN)) {
      return {
        status: '503 Service Unavailable',
        code: 'link/busy',
        reason: 'Too many workers are connecting at once; try again.',
      };
    }
    return undefined;
  }

  private async greet(socket: WebSocket, ip: string, release: () => void): Promise<void> {
    const { logger } = this.deps;
    // A broken frame also emits `close`, but an `error` without a listener would end the process.
    socket.on('error', (error) => logger.debug('A socket failed', { ip }, error));
    try {
      const handshakeMs = this.options.handshakeMs ?? HANDSHAKE_MS;
      const proven = await acceptWorker(
        socket,
        { ...this.options, handshakeMs },
        { ...this.deps, signal: this.closing.signal, requireAbsent: (worker) => this.requireAbsent(worker) },
      );
      this.connect(socket, ip, proven);
    } catch (error) {
      if (!hasCode(error, 'link/cut')) logger.warn('Refused a worker', { ip }, error);
      sendRefusal(socket, error);
    } finally {
      release();
    }
  }

  /**
   * Two machines with one key would replace each other for ever, so the first one stays while it answers. A
   * connection that does not is left over from a cut.
   */
  private async requireAbsent(worker: Address): Promise<void> {
    const present = this.peers.get(worker);
    if (!present || !(await present.worker.answers(this.options.answerMs ?? ANSWER_MS))) return;
    throw refusal(
      'link/in-use',
      `The worker ${worker} is connected from ${present.ip} already, and answers there; end that one, or give this machine its own key.`,
    );
  }

  private connect(socket: WebSocket, ip: string, proven: ProvenWorker): void {
    const { address } = proven;
    this.peers.get(address)?.worker.refuse(refusal('link/replaced', 'The same worker connected again.'));
    const connection = new Connection(socket, proven, ip, this);
    this.peers.set(address, connection);
    this.deps.handlers.onConnect(connection);
  }
}

/** A proven worker on its present socket. */
class Connection implements Peer, SessionHost<WorkerMessage, MasterMessageIn> {
  readonly address: Address;
  readonly offer: Offer;
  readonly session: string;
  readonly connectedAtMs: number;
  readonly worker: Session<WorkerMessage, MasterMessageIn>;

  constructor(
    socket: WebSocket,
    { address, offer, session, keys }: ProvenWorker,
    readonly ip: string,
    private readonly gate: Pick<WorkerGate, 'deps' | 'rules' | 'peers'>,
  ) {
    this.address = address;
    this.offer = offer;
    this.session = session;
    this.connectedAtMs = gate.deps.clock.now();
    this.worker = new Session(socket, { incoming: keys.toMaster, outgoing: keys.toWorker }, gate.rules, this);
  }

  get logger(): Logger {
    return this.gate.deps.logger.child({ worker: this.address });
  }

  get traffic(): Peer['traffic'] {
    return this.worker.traffic;
  }

  beat(): MasterMessageIn {
    return { type: 'ping', atMs: this.gate.deps.clock.now() };
  }

  farewell(code: string, reason: string): MasterMessageIn {
    return { type: 'refused', code, reason };
  }

  mayPull(sha256: Sha256): boolean | Promise<boolean> {
    return this.gate.deps.mayPull(this.address, sha256);
  }

  onMessage(message: WorkerMessage): void {
    if (message.type === 'pong') return;
    if (message.type === 'bye') this.worker.close(message.reason);
    else if (message.type === 'hello') this.worker.refuse(refusal('link/out-of-order', 'A second hello arrived.'));
    else this.gate.deps.handlers.onMessage(this, message);
  }

  onEnd(reason: string): void {
    const { peers, deps } = this.gate;
    if (peers.get(this.address) === this) peers.delete(this.address);
    deps.handlers.onClose(this, reason);
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

/** Answers an upgrade request with the reason as JSON; `dial.ts` reads it. */
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
