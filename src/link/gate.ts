/** Workers at the master's end of the link: handshakes, and one connection per address. */
import type { Address, Sha256 } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { BlobRef } from '../protocol/blob-ref';
import { type MasterMessageIn, type Offer, WorkerMessage } from '../protocol/link';
import { acceptWorker, type ProvenWorker } from './accept';
import { Beats } from './beats';
import { cut, hasCode, refusal } from './errors';
import { KeyedLock } from './keyed-lock';
import type { LinkBlobs, LinkWallet, PullOptions, RecoverTyped } from './ports';
import { Session, type SessionHost, type SessionRules } from './session';
import { type LinkSocket, sendRefusal } from './socket';
import type { Traffic } from './traffic';
import { STALL_MS } from './transfer';
import { Window } from './window';

/** Bytes in flight from all workers together, and so in memory, at most. */
const POOL_BYTES = 64 * 1024 * 1024;
const HANDSHAKE_MS = 5_000;
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

export interface GateOptions {
  chainId: number;
  /** Version of this program; workers of another major version are refused. */
  version: string;
  heartbeatMs: number;
  /** Milliseconds from the connection to a proven address. Default 5,000. */
  handshakeMs?: number | undefined;
  /** Milliseconds that a transfer may stand still. Default 60,000. */
  stallMs?: number | undefined;
  /** Milliseconds a connected worker has to answer when its address connects once more. Default 2,000. */
  answerMs?: number | undefined;
}

export interface GateDeps {
  wallet: LinkWallet;
  recoverTyped: RecoverTyped;
  blobs: LinkBlobs;
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

/** Lets workers in by a socket each, however that came about. */
export class WorkerGate {
  readonly peers = new Map<Address, Connection>();
  readonly rules: SessionRules<WorkerMessage>;
  private readonly closing = new AbortController();

  constructor(
    private readonly options: GateOptions,
    readonly deps: GateDeps,
  ) {
    const { heartbeatMs, stallMs = STALL_MS } = options;
    const beats = new Beats(heartbeatMs);
    const shared = { beats, blobs: deps.blobs, pool: new Window(POOL_BYTES), writers: new KeyedLock() };
    this.rules = { schema: WorkerMessage, heartbeatMs, stallMs, ...shared };
  }

  /** Lets nobody in any more, and hangs up to all. */
  close(): void {
    this.closing.abort(cut('the master is stopping'));
    for (const connection of [...this.peers.values()]) connection.worker.close('the master is stopping', 1001);
  }

  /** Has the worker prove its address; resolves once it is connected, or refused. */
  async admit(socket: LinkSocket, ip: string): Promise<void> {
    const { logger } = this.deps;
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

  private connect(socket: LinkSocket, ip: string, proven: ProvenWorker): void {
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
    socket: LinkSocket,
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
