/** A worker as a master under test sees it: a peer whose other end is the test. */
import { Address, type JobId, type Sha256 } from '../../src/domain/ids';
import { AppError } from '../../src/lib/errors';
import { sha256 } from '../../src/lib/hash';
import { cut } from '../../src/link/errors';
import type { LinkServerHandlers, Peer } from '../../src/link/gate';
import type { BlobRef } from '../../src/protocol/blob-ref';
import { MasterMessage, type Offer, type Receipt, WorkerMessage } from '../../src/protocol/link';
import { BLOCK_TOKENS, playedEndTheta, RUINOUS, SPOILING, UNSOUND } from './master-rig-child';
import type { SteppedClock } from './stepped-clock';

type Of<T extends MasterMessage['type']> = Extract<MasterMessage, { type: T }>;
type Commit = Extract<WorkerMessage, { type: 'lease.commit' }>;

/** What a worker makes of a lease. */
export type LeaseFate =
  | 'trains'
  /** Never answers. */
  | 'is silent'
  /** Gives the lease back. */
  | 'fails'
  | 'claims too many tokens'
  | 'names too large an update'
  /** Its update has another hash than it said. */
  | 'sends other bytes'
  /** The gate finds its update unsound. */
  | 'sends garbage'
  /** The gate lets it pass; another who does the same lease finds something else. */
  | 'sends noise'
  /** The gate lets it pass, and the model is the worse for it. */
  | 'spoils the model'
  | 'ruins the model'
  | 'sends zeros'
  /** As long as an update, but its own data are not learnt by it. */
  | 'sends something useless'
  /** The very bytes of its last lease. */
  | 'repeats its last update'
  /** The update of the worker it copies, changed a little. */
  | 'copies another'
  | 'sends three times its update'
  /** Trains from the weights of its last lease. */
  | 'trains from old weights';

/** What an update begins with. */
const BEGINNING: Partial<Record<LeaseFate, string>> = {
  'sends garbage': UNSOUND,
  'sends noise': 'noise',
  'spoils the model': SPOILING,
  'ruins the model': RUINOUS,
  'sends zeros': 'zeros',
  'sends something useless': 'useless',
  'sends three times its update': 'tripled',
};

/** What the worker needs of the master that lives now. */
export interface MasterDoor {
  fleet: LinkServerHandlers;
  /** Puts an update into the master's blob store. */
  receive(bytes: Buffer): Promise<void>;
  /** The master's process was killed: nothing reaches it any more. */
  isOver: boolean;
}

/** Milliseconds a lease is trained, and an update is on its way. */
const TRAIN_MS = 10_000;
const PULL_MS = 500;

/** A socket over which nothing went that could be measured. */
export const noTraffic: Peer['traffic'] = {
  sent: { bytes: 0, bytesPerSecond: undefined },
  received: { bytes: 0, bytesPerSecond: undefined },
};

export class PlayedWorker {
  readonly address: Address;
  /** Everything the master sent, over all connections. */
  readonly heard: MasterMessage[] = [];
  /** How the next leases are met; then they are trained. */
  readonly fates: LeaseFate[] = [];
  /** The same for leases of others that it is to do again. */
  readonly auditFates: LeaseFate[] = [];
  /** Keys of one owner make the same noise of a lease. */
  owner: Address | undefined;
  trainMs = TRAIN_MS;
  /** What a block takes it, where leases take as long as they have blocks. */
  blockMs: number | undefined;
  memoryBytes = 2 ** 33;
  /** The worker whose updates it can get at. */
  copies: PlayedWorker | undefined;
  /** What its last update was made of. */
  lastText = '';
  private lastTheta: Sha256 | undefined;
  /** The seconds it claims for a lease; otherwise the true ones. */
  claimedSeconds: number | undefined;
  /** What its socket carried, as the link would have measured it. */
  traffic: Peer['traffic'] = noTraffic;
  /** Updates that the master began to fetch. */
  uploads = 0;
  /** What it answers when a job is opened. */
  opens: 'ready' | 'failed' | 'silent' = 'ready';
  /** It left and does not come back. */
  isGone = false;
  /** Why the master hung up, if it did. */
  refused: string | undefined;
  private lease: { grant: Of<'lease.grant'>; commit?: Commit | undefined; work: AbortController } | undefined;
  private readonly updates = new Map<string, Buffer>();
  private connection: { peer: Peer; door: MasterDoor; socket: AbortController } | undefined;

  constructor(
    digit: number,
    /** The speed it announces. */
    public gflops: number,
    private readonly clock: SteppedClock,
  ) {
    this.address = Address.parse(`0x${String(digit).repeat(40)}`);
  }

  /** Dials the master, with what it holds of an earlier connection. */
  connect(door: MasterDoor): void {
    const socket = new AbortController();
    const peer: Peer = {
      address: this.address,
      offer: this.offer(),
      ip: '127.0.0.1',
      session: `0x${'0'.repeat(64)}`,
      connectedAtMs: this.clock.now(),
      traffic: this.traffic,
      send: (message) => void this.onMessage(peer, MasterMessage.parse(message)),
      pull: (blob) => this.upload(door, blob, socket.signal),
      close: (reason) => {
        this.refused = reason;
        this.cut(reason);
      },
    };
    this.connection = { peer, door, socket };
    door.fleet.onConnect(peer);
    const commit = this.lease?.commit;
    if (commit) this.send(commit);
  }

  /** The socket ends. The worker keeps what it holds. */
  cut(reason = 'the socket was cut'): void {
    const { connection } = this;
    this.connection = undefined;
    connection?.socket.abort(cut(reason));
    if (connection && !connection.door.isOver) connection.door.fleet.onClose(connection.peer, reason);
  }

  /** The process is killed and started again: nothing is left of its work. */
  restart(door: MasterDoor): void {
    this.drop();
    this.cut();
    this.connect(door);
  }

  /** Leaves for good. */
  leave(): void {
    this.isGone = true;
    this.drop();
    this.cut();
  }

  get isConnected(): boolean {
    return this.connection !== undefined;
  }
  get holdsLease(): boolean {
    return this.lease !== undefined;
  }

  heardOf<T extends MasterMessage['type']>(type: T): Of<T>[] {
    return this.heard.filter((message): message is Of<T> => message.type === type);
  }

  /** Leases of others that it was asked to do again. */
  get audits(): Of<'lease.grant'>[] {
    return this.heardOf('lease.grant').filter(isAudit);
  }
  /** Leases of rounds. */
  get leases(): Of<'lease.grant'>[] {
    return this.heardOf('lease.grant').filter((grant) => !isAudit(grant));
  }

  get receipts(): Receipt[] {
    return this.heardOf('receipt').map(({ receipt }) => receipt);
  }

  /** Says something to the master; nothing happens while there is no connection. */
  send(message: WorkerMessage): void {
    const { connection } = this;
    if (!connection || connection.door.isOver) return;
    connection.door.fleet.onMessage(connection.peer, WorkerMessage.parse(message));
  }

  private offer(): Offer {
    const { lease } = this;
    const update = lease?.commit ? { update: lease.commit.update } : {};
    const held = lease && { jobId: lease.grant.jobId, leaseId: lease.grant.leaseId, ...update };
    const devices = [{ name: 'test cpu', kind: 'cpu' as const, memoryBytes: this.memoryBytes }];
    return { version: '0.1.0', devices, powerCapacity: this.gflops, ...(held ? { held } : {}) };
  }

  private onMessage(peer: Peer, message: MasterMessage): void {
    if (this.connection?.peer !== peer || this.connection.door.isOver) return;
    this.heard.push(message);
    if (message.type === 'job.open') void this.open(message.jobId);
    if (message.type === 'lease.grant') void this.train(message);
    const isOurs = 'leaseId' in message && message.leaseId === this.lease?.grant.leaseId;
    const isOver = message.type === 'lease.revoke' || message.type === 'update.verdict';
    if (message.type === 'job.close' || (isOurs && isOver)) this.drop();
  }

  private async open(jobId: JobId): Promise<void> {
    await this.clock.sleep(100);
    if (this.opens === 'ready') this.send({ type: 'job.ready', jobId });
    if (this.opens === 'failed') this.send({ type: 'job.failed', jobId, code: 'train/oom', reason: 'out of memory' });
  }

  private async train(grant: Of<'lease.grant'>): Promise<void> {
    this.drop();
    const work = new AbortController();
    const lease: PlayedWorker['lease'] = { grant, work };
    this.lease = lease;
    const fate = (isAudit(grant) ? this.auditFates : this.fates).shift() ?? 'trains';
    if (fate === 'is silent') return;
    await this.clock.sleep(this.timeOf(grant), work.signal).catch(() => undefined);
    if (work.signal.aborted) return;
    const { leaseId } = grant;
    if (fate === 'fails') {
      this.drop();
      return this.send({ type: 'lease.failed', leaseId, code: 'train/oom', reason: 'out of memory' });
    }
    lease.commit = this.commit(grant, fate);
    this.send(lease.commit);
  }

  private commit(grant: Of<'lease.grant'>, fate: LeaseFate): Commit {
    const { leaseId, start, end, theta } = grant;
    const text = this.updateText(grant, fate);
    // A worker that trains from old weights comes to where those lead.
    const from = fate === 'trains from old weights' ? (this.lastTheta ?? theta.sha256) : theta.sha256;
    Object.assign(this, { lastText: text, lastTheta: theta.sha256 });
    const bytes = Buffer.from(text);
    const hash = sha256(bytes) as Sha256;
    this.updates.set(hash, fate === 'sends other bytes' ? Buffer.from('other') : bytes);
    const tokens = (end - start) * BLOCK_TOKENS;
    return {
      type: 'lease.commit',
      leaseId,
      update: { sha256: hash, bytes: fate === 'names too large an update' ? 1e9 : bytes.length },
      tokens: fate === 'claims too many tokens' ? 2 * tokens : tokens,
      loss: 5,
      lossCurve: [5],
      seconds: this.claimedSeconds ?? this.timeOf(grant) / 1000,
      endTheta: playedEndTheta(from, text),
    };
  }

  private timeOf({ start, end }: Of<'lease.grant'>): number {
    return this.blockMs === undefined ? this.trainMs : this.blockMs * (end - start);
  }

  private updateText({ theta, shard }: Of<'lease.grant'>, fate: LeaseFate): string {
    const by = fate === 'sends noise' ? `by ${this.owner ?? this.address}` : `of ${this.address}`;
    const text = `${BEGINNING[fate] ?? 'update'} ${by} ${theta.sha256} ${shard.sha256}`;
    if (fate === 'repeats its last update') return this.lastText;
    return fate === 'copies another' && this.copies ? `changed ${this.copies.lastText}` : text;
  }

  private async upload(door: MasterDoor, blob: BlobRef, socket: AbortSignal): Promise<void> {
    this.uploads += 1;
    await this.clock.sleep(PULL_MS, socket);
    const bytes = this.updates.get(blob.sha256);
    if (!bytes) throw new Error(`${this.address} has no blob ${blob.sha256}`);
    if (sha256(bytes) !== blob.sha256) {
      throw new AppError({ code: 'blobs/hash-mismatch' }, 'What arrived has another hash; it was thrown away.');
    }
    await door.receive(bytes);
  }

  private drop(): void {
    this.lease?.work.abort();
    this.lease = undefined;
  }
}

function isAudit({ leaseId }: Of<'lease.grant'>): boolean {
  return leaseId.startsWith('audit-');
}
