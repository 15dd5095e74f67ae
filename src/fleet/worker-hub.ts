import type { Address, JobId } from '../domain/ids';
import { smoothSpeed } from '../domain/lease-plan';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Peer } from '../link/server';
import type { WorkerView } from '../protocol/admin';
import type { MasterMessageIn, Offer, WorkerMessage } from '../protocol/link';

/** What a job run wants to know of its workers. */
export interface JobDesk {
  onJoin(worker: Address, held: Offer['held']): void;
  onMessage(worker: Address, message: WorkerMessage): void;
  onAway(worker: Address): void;
  /** The operator disconnected the worker: its lease goes to others at once. */
  onExpelled(worker: Address): void;
}

interface Seat {
  address: Address;
  peer?: Peer | undefined;
  offer: Offer;
  ip: string;
  desk?: { jobId: JobId; desk: JobDesk } | undefined;
  /** Measured blocks per second in the present job; unknown before its first round. */
  blocksPerSecond?: number | undefined;
  live?: { step: number; steps: number; loss: number; tokensPerSecond: number } | undefined;
}

/**
 * Who is connected and which job each worker works for. A worker belongs to one job at a time; it keeps its seat while it is
 * away, so that a cut costs it nothing, and loses it when the job ends.
 */
export class WorkerHub {
  private readonly seats = new Map<Address, Seat>();

  constructor(
    private readonly deps: {
      logger: Logger;
      clock: Clock;
      /** A worker came that no job owns: somebody may want it. */
      onIdle(): void;
      /** Which job a worker that came back after our restart had a lease of. */
      findDesk(jobId: JobId): JobDesk | undefined;
    },
  ) {}

  connect(peer: Peer): void {
    const { address, offer, ip } = peer;
    const seat: Seat = this.seats.get(address) ?? { address, offer, ip };
    Object.assign(seat, { peer, offer, ip });
    this.seats.set(address, seat);
    this.deps.logger.info('Worker connected', { worker: address, ip, gflops: offer.powerCapacity });

    const held = offer.held;
    const heldDesk = held && !seat.desk ? this.deps.findDesk(held.jobId) : undefined;
    if (held && heldDesk) seat.desk = { jobId: held.jobId, desk: heldDesk };
    if (seat.desk) seat.desk.desk.onJoin(address, held);
    else {
      if (held) peer.send({ type: 'job.close', jobId: held.jobId, reason: 'this master is not working on that job' });
      this.deps.onIdle();
    }
  }

  message(peer: Peer, message: WorkerMessage): void {
    const seat = this.seats.get(peer.address);
    if (!seat || seat.peer !== peer) return;
    if (message.type === 'lease.progress') {
      const { step, steps, loss, tokensPerSecond } = message;
      seat.live = { step, steps, loss, tokensPerSecond };
    }
    seat.desk?.desk.onMessage(peer.address, message);
  }

  disconnect(peer: Peer, reason: string): void {
    const seat = this.seats.get(peer.address);
    if (!seat || seat.peer !== peer) return; // already replaced by a newer connection
    seat.peer = undefined;
    seat.live = undefined;
    this.deps.logger.info('Worker went away', { worker: peer.address, reason });
    if (seat.desk) seat.desk.desk.onAway(peer.address);
    else this.seats.delete(peer.address);
  }

  /** Closes a worker's socket and frees its seat; false when nobody of that address is known. */
  expel(address: Address, reason: string): boolean {
    const seat = this.seats.get(address);
    if (!seat) return false;
    const { peer, desk } = seat;
    seat.peer = undefined;
    this.seats.delete(address);
    desk?.desk.onExpelled(address);
    peer?.close(reason);
    return true;
  }

  /** Connected workers that no job owns. */
  idle(): { address: Address; gflops: number }[] {
    return [...this.seats.values()]
      .filter((seat) => seat.peer && !seat.desk)
      .map((seat) => ({ address: seat.address, gflops: seat.offer.powerCapacity }));
  }

  /** Speed of everybody connected, in GFLOP/s: what the next job could count on. */
  capacityGflops(): number {
    return [...this.seats.values()].reduce((sum, seat) => sum + (seat.peer ? seat.offer.powerCapacity : 0), 0);
  }

  assign(address: Address, jobId: JobId, desk: JobDesk): void {
    const seat = this.seats.get(address);
    if (!seat?.peer || seat.desk) return;
    seat.desk = { jobId, desk };
    seat.blocksPerSecond = undefined;
    desk.onJoin(address, undefined);
  }

  /** The job needs its workers no more. */
  release(jobId: JobId, reason: string): void {
    for (const seat of this.seats.values()) {
      if (seat.desk?.jobId !== jobId) continue;
      seat.desk = undefined;
      seat.live = undefined;
      seat.peer?.send({ type: 'job.close', jobId, reason });
      if (!seat.peer) this.seats.delete(seat.address);
    }
    this.deps.onIdle();
  }

  /** Takes one worker off its job (it cannot do it). */
  dismiss(address: Address, reason: string): void {
    const seat = this.seats.get(address);
    if (!seat?.desk) return;
    seat.peer?.send({ type: 'job.close', jobId: seat.desk.jobId, reason });
    seat.desk = undefined;
    seat.live = undefined;
  }

  peer(address: Address): Peer | undefined {
    return this.seats.get(address)?.peer;
  }

  send(address: Address, message: MasterMessageIn): void {
    this.seats.get(address)?.peer?.send(message);
  }

  /**
   * Speeds of the named workers for sharing out a round: measured blocks per second where a round has been measured for all of
   * them, what they announced otherwise (the two units do not mix).
   */
  speeds(workers: readonly Address[]): Map<Address, number> {
    const seats = workers.flatMap((worker) => this.seats.get(worker) ?? []);
    const measured = seats.every((seat) => seat.blocksPerSecond !== undefined);
    return new Map(seats.map((seat) => [seat.address, (measured && seat.blocksPerSecond) || seat.offer.powerCapacity]));
  }

  /** Measured blocks per second; undefined before the first round of the job. */
  measuredSpeed(worker: Address): number | undefined {
    return this.seats.get(worker)?.blocksPerSecond;
  }

  recordSpeed(worker: Address, blocksPerSecond: number): void {
    const seat = this.seats.get(worker);
    if (seat) seat.blocksPerSecond = smoothSpeed(seat.blocksPerSecond, blocksPerSecond);
  }

  view(): WorkerView[] {
    return [...this.seats.values()].map((seat) => ({
      address: seat.address,
      connected: seat.peer !== undefined,
      ip: seat.ip,
      gflops: seat.offer.powerCapacity,
      jobId: seat.desk?.jobId,
      ...seat.live,
    }));
  }
}
