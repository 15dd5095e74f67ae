import type { Address, Sha256 } from '../domain/ids';
import { inFoldOrder } from '../domain/order';
import { hasQuorum, type LeaseView, type RoundView } from '../domain/round';
import type { TrainedUpdate } from '../protocol/update';

/** A lease of the open round: what the store knows of it, and where its worker is. */
export interface LiveLease {
  leaseId: string;
  worker: Address;
  start: number;
  end: number;
  grantedAtMs: number;
  /** `collecting`: the worker is done and its update is on its way through the gate. */
  state: 'running' | 'collecting' | 'ready' | 'lost';
  /** Its commits so far: a worker that comes back commits again, maybe before the fetch that its going cut has ended. */
  commits?: number | undefined;
  awaySinceMs?: number | undefined;
  /** Set when `ready`. */
  work?: TrainedUpdate | undefined;
}

/** The open round in memory; every fact that must survive is in the store first. */
export class RoundState {
  readonly leases = new Map<string, LiveLease>();
  private quorumAtMs: number | undefined;

  constructor(
    readonly round: number,
    readonly theta: Sha256,
    /** Nobody is waited for beyond this. */
    public deadlineMs: number,
  ) {}

  add(lease: LiveLease): void {
    this.leases.set(lease.leaseId, lease);
  }

  /** The worker's lease that is not settled yet. */
  openLeaseOf(worker: Address): LiveLease | undefined {
    return [...this.leases.values()].find(
      (lease) => lease.worker === worker && (lease.state === 'running' || lease.state === 'collecting'),
    );
  }

  markReady(lease: LiveLease, work: TrainedUpdate, nowMs: number): void {
    Object.assign(lease, { state: 'ready', work, awaySinceMs: undefined });
    if (hasQuorum(this.view().leases)) this.quorumAtMs ??= nowMs;
  }

  /** Leases whose updates will be folded, in the order to sum them. */
  ready(): LiveLease[] {
    return [...this.leases.values()].filter((lease) => lease.state === 'ready').sort(inFoldOrder);
  }

  unsettled(): LiveLease[] {
    return [...this.leases.values()].filter((lease) => lease.state === 'running' || lease.state === 'collecting');
  }

  view(): RoundView {
    return {
      leases: [...this.leases.values()].map(leaseView),
      quorumAtMs: this.quorumAtMs,
      deadlineMs: this.deadlineMs,
    };
  }
}

function leaseView(lease: LiveLease): LeaseView {
  const state = lease.state === 'collecting' ? 'running' : lease.state;
  return { blocks: lease.end - lease.start, state, awaySinceMs: lease.awaySinceMs };
}
