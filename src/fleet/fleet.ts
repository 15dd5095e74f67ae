/** The connected workers and their assignments: a room of its own, because all features share the workers. */
import type { Address, Sha256 } from '../domain/ids';
import type { DeviceRoom } from '../domain/job-fit';
import { cappedGflops, gflopsInForce, type Measurement, medianOf } from '../domain/power';
import type { Logger } from '../lib/logger';
import type { LinkServerHandlers, Peer } from '../link/gate';
import type { WorkerView } from '../protocol/admin';
import type { MasterMessageIn, Offer, WorkerMessage } from '../protocol/link';
import { type Assignment, closingMessage, mayBeTaken } from './assignment';
import { type MeasurementStore, SpeedBook } from './speed-book';

/** A feature that puts workers to use. Users are asked in the order in which they were added. */
export interface FleetUser {
  /** A worker became idle and may be assigned. */
  onIdle(): void;
  /**
   * Returns the assignment that a connecting worker's lease belongs to; undefined when it is not this user's.
   * Asked for a worker without an assignment, as all are after a restart of this process.
   */
  findAssignment(held: NonNullable<Offer['held']>): Assignment | undefined;
}

/** What a worker can be given. */
export interface WorkerCapacity extends DeviceRoom {
  gflops: number;
}

/** What was measured of a worker and its link; undefined before that. */
export interface MeasuredLink {
  measuredGflops: number | undefined;
  upBytesPerSecond: number | undefined;
  downBytesPerSecond: number | undefined;
}

interface FleetDeps {
  logger: Logger;
  /** Without a store, measurements last as long as this process. */
  measurements?: MeasurementStore | undefined;
  /** Returns the blobs of a lease that an earlier process of this master gave the worker. */
  leaseBlobs?(worker: Address, held: NonNullable<Offer['held']>): Promise<readonly Sha256[]>;
  /** Returns the files of a base. */
  baseFiles?(list: Sha256): Promise<readonly Sha256[]>;
}

interface WorkerRecord {
  address: Address;
  /** Undefined while the worker is disconnected. */
  peer?: Peer | undefined;
  offer: Offer;
  ip: string;
  assignment?: Assignment | undefined;
  /** What it was told to fetch for the lease that it has. */
  named?: { leaseId: string; blobs: ReadonlySet<Sha256> } | undefined;
  /** The base of the job that it was told to open, with the files of it once they are looked up. */
  base?: { list: Sha256; files?: ReadonlySet<Sha256> | undefined } | undefined;
  live?: { step: number; steps: number; loss: number; tokensPerSecond: number } | undefined;
}

/**
 * Knows every connected worker and its assignment. An assigned worker that disconnects keeps its assignment
 * and finds it again on return; an idle one is forgotten.
 */
export class Fleet implements LinkServerHandlers {
  private readonly workers = new Map<Address, WorkerRecord>();
  private readonly users: FleetUser[] = [];

  private readonly book: SpeedBook;

  constructor(private readonly deps: FleetDeps) {
    this.book = new SpeedBook(deps);
  }

  addUser(user: FleetUser): void {
    this.users.push(user);
  }

  onConnect(peer: Peer): void {
    const { address, offer, ip } = peer;
    const worker: WorkerRecord = this.workers.get(address) ?? { address, offer, ip };
    Object.assign(worker, { peer, offer, ip });
    this.workers.set(address, worker);
    this.book.load(address);
    this.deps.logger.info('Worker connected', { worker: address, ip, gflops: offer.powerCapacity });

    const { held } = offer;
    if (held) worker.assignment ??= this.findAssignment(held);
    if (worker.assignment) return worker.assignment.events.onJoin(address, held);
    if (held) peer.send({ type: 'job.close', jobId: held.jobId, reason: 'this master is not working on that job' });
    this.reportIdle();
  }

  onMessage(peer: Peer, message: WorkerMessage): void {
    const worker = this.workers.get(peer.address);
    if (!worker || worker.peer !== peer) return;
    if (message.type === 'lease.progress') {
      const { step, steps, loss, tokensPerSecond } = message;
      worker.live = { step, steps, loss, tokensPerSecond };
    }
    worker.assignment?.events.onMessage(peer.address, message);
  }

  onClose(peer: Peer, reason: string): void {
    const worker = this.workers.get(peer.address);
    if (!worker || worker.peer !== peer) return; // already replaced by a newer connection
    worker.peer = undefined;
    worker.live = undefined;
    this.deps.logger.info('Worker disconnected', { worker: peer.address, reason });
    if (worker.assignment) worker.assignment.events.onAway(peer.address);
    else this.workers.delete(peer.address);
  }

  /** Closes a worker's connection and ends its assignment; false when the address is unknown. */
  expel(address: Address, reason: string): boolean {
    const worker = this.workers.get(address);
    if (!worker) return false;
    const { peer, assignment } = worker;
    worker.peer = undefined;
    this.workers.delete(address);
    assignment?.events.onExpelled(address);
    peer?.close(reason);
    return true;
  }

  /**
   * Lists the connected workers that can be assigned, with the speed in force. A probe gives way, so its
   * worker is idle; one whose last probe was bad is not.
   */
  idle(): ({ address: Address } & WorkerCapacity & MeasuredLink)[] {
    return this.connected()
      .filter(({ assignment }) => !assignment || mayBeTaken(assignment))
      .map((worker) => ({ ...offeredBy(worker, this.gflopsOf(worker)), ...this.measuredOf(worker) }))
      .filter(({ gflops }) => gflops > 0);
  }

  /** Lists the connected workers without any assignment, for whom a probe would disturb nobody. */
  unassigned(): { address: Address; offer: Offer }[] {
    return this.connected().filter(({ assignment }) => !assignment);
  }

  /** Sums the speed in force of all connected workers, in GFLOP/s. */
  capacityGflops(): number {
    return this.connected().reduce((sum, worker) => sum + this.gflopsOf(worker), 0);
  }

  /** Notes a measurement, which counts from now on; resolves when it is stored. */
  recordMeasurement(measurement: Measurement): Promise<void> {
    return this.book.add(measurement);
  }

  /** Lists a worker's measurements that count, oldest first; undefined while they are being read. */
  measurements(address: Address): readonly Measurement[] | undefined {
    return this.book.of(address);
  }

  /** Assigns an idle worker, which ends a probe of it; does nothing when it is no longer idle. */
  assign(address: Address, assignment: Assignment): void {
    const worker = this.workers.get(address);
    if (!worker?.peer) return;
    const present = worker.assignment;
    if (present && (!mayBeTaken(present) || mayBeTaken(assignment))) return;
    if (present) {
      this.end(worker, present, 'the worker is wanted for something else');
      present.events.onExpelled(address);
    }
    worker.assignment = assignment;
    assignment.events.onJoin(address, undefined);
  }

  /** Ends an assignment for all of its workers. */
  release(assignment: Assignment, reason: string): void {
    for (const worker of this.workers.values()) {
      if (worker.assignment !== assignment) continue;
      this.end(worker, assignment, reason);
      if (!worker.peer) this.workers.delete(worker.address);
    }
    this.reportIdle();
  }

  /** Ends the assignment of one worker, which cannot do it. */
  dismiss(address: Address, reason: string): void {
    const worker = this.workers.get(address);
    if (worker?.assignment) this.end(worker, worker.assignment, reason);
  }

  /** Returns the worker's connection; undefined while it is disconnected. */
  peer(address: Address): Peer | undefined {
    return this.workers.get(address)?.peer;
  }

  /** Sends a message, or drops it when the worker is disconnected. */
  send(address: Address, message: MasterMessageIn): void {
    const worker = this.workers.get(address);
    if (!worker) return;
    noteBlobs(worker, message);
    worker.peer?.send(message);
  }

  /**
   * Returns whether a blob belongs to the lease that the worker has, or to the base of its job: only then it
   * may be sent.
   */
  async mayPull(address: Address, sha256: Sha256): Promise<boolean> {
    const worker = this.workers.get(address);
    if (!worker) return false;
    return (await this.isOfLease(worker, sha256)) || this.isOfBase(worker, sha256);
  }

  /**
   * Returns what a known worker offers to the job that has it. A bad probe that is found meanwhile changes
   * nothing there: the job judges its workers itself.
   */
  capacityOf(address: Address): WorkerCapacity | undefined {
    const worker = this.workers.get(address);
    if (!worker) return undefined;
    const { powerCapacity } = worker.offer;
    return offeredBy(worker, cappedGflops(powerCapacity, this.knownSpeed(worker)) || powerCapacity);
  }

  /** Lists all known workers for people. */
  view(): WorkerView[] {
    return [...this.workers.values()].map((worker) => ({
      address: worker.address,
      connected: worker.peer !== undefined,
      ip: worker.ip,
      gflops: this.gflopsOf(worker),
      announcedGflops: worker.offer.powerCapacity,
      measuredGflops: this.book.gflops(worker.address),
      jobId: worker.assignment?.kind === 'job' ? worker.assignment.jobId : undefined,
      ...worker.live,
    }));
  }

  private measuredOf({ address, peer }: WorkerRecord): { address: Address } & MeasuredLink {
    const { sent, received } = peer?.traffic ?? {};
    return {
      address,
      measuredGflops: this.book.gflops(address),
      upBytesPerSecond: received?.bytesPerSecond ?? received?.roughBytesPerSecond,
      downBytesPerSecond: sent?.bytesPerSecond,
    };
  }

  private async isOfLease({ address, named, offer }: WorkerRecord, sha256: Sha256): Promise<boolean> {
    if (named || !offer.held) return named?.blobs.has(sha256) ?? false;
    return (await this.deps.leaseBlobs?.(address, offer.held))?.includes(sha256) ?? false;
  }

  private async isOfBase({ base }: WorkerRecord, sha256: Sha256): Promise<boolean> {
    if (!base) return false;
    if (base.list === sha256) return true;
    base.files ??= new Set(await this.deps.baseFiles?.(base.list));
    return base.files.has(sha256);
  }

  private connected(): WorkerRecord[] {
    return [...this.workers.values()].filter(({ peer }) => peer);
  }

  /** Returns the speed in force: what was announced, as far as measurements bear it out. */
  private gflopsOf(worker: WorkerRecord): number {
    return gflopsInForce(worker.offer.powerCapacity, this.knownSpeed(worker));
  }

  private knownSpeed({ address, offer }: WorkerRecord) {
    const measured = this.book.gflops(address);
    if (measured !== undefined) return { measured, peers: undefined };
    const devices = nameDevices(offer);
    const peers = this.connected().filter((other) => nameDevices(other.offer) === devices);
    const speeds = peers.flatMap((other) => this.book.gflops(other.address) || []);
    return { measured, peers: medianOf(speeds) };
  }

  private findAssignment(held: NonNullable<Offer['held']>): Assignment | undefined {
    for (const user of this.users) {
      const assignment = user.findAssignment(held);
      if (assignment) return assignment;
    }
    return undefined;
  }

  private reportIdle(): void {
    for (const user of this.users) user.onIdle();
  }

  private end(worker: WorkerRecord, assignment: Assignment, reason: string): void {
    const message = closingMessage(assignment, reason);
    if (message) worker.peer?.send(message);
    worker.assignment = undefined;
    worker.named = undefined;
    worker.base = undefined;
    worker.live = undefined;
  }
}

/** A worker has one job and one lease at a time, and needs nothing more for one that is over. */
function noteBlobs(worker: WorkerRecord, message: MasterMessageIn): void {
  if (message.type === 'job.open') {
    worker.base = message.base && { list: message.base.list as Sha256 };
  } else if (message.type === 'lease.grant') {
    const { leaseId, shard, theta, delta } = message;
    const blobs = [shard, theta, ...(delta ? [delta.blob] : [])];
    worker.named = { leaseId, blobs: new Set(blobs.map(({ sha256 }) => sha256 as Sha256)) };
  } else if (message.type === 'lease.revoke' || message.type === 'update.verdict') {
    if (worker.named?.leaseId === message.leaseId) worker.named = undefined;
  }
}

function offeredBy({ offer }: Pick<WorkerRecord, 'offer'>, gflops: number): WorkerCapacity {
  const { devices } = offer;
  return { gflops, memoryBytes: Math.min(...devices.map(({ memoryBytes }) => memoryBytes)), devices: devices.length };
}

function nameDevices({ devices }: Offer): string {
  return JSON.stringify(devices.map(({ name }) => name).sort());
}
