/** The open round in memory: its leases, and what is known of each. */
import type { Address, Sha256 } from '../domain/ids';
import { inFoldOrder } from '../domain/order';
import { hasQuorum, type LeaseView, type RoundView } from '../domain/round';
import type { TrainedUpdate } from '../protocol/update';

/** A lease of the open round: the facts of the store, and what its worker is doing. */
export interface LiveLease {
  leaseId: string;
  worker: Address;
  start: number;
  end: number;
  grantedAtMs: number;
  /** `collecting`: the worker is done and its update is on its way through the gate. */
  state: 'running' | 'collecting' | 'ready' | 'lost';
  /**
   * How often this lease was committed. A reconnecting worker commits again, possibly while the fetch its
   * disconnect interrupted is still failing.
   */
  commits?: number | undefined;
  awaySinceMs?: number | undefined;
  /** Found in the store: its worker may never have heard of it, until it returns with it. */
  isResumed?: boolean | undefined;
  /** It was away once, so that the time to its commit says little of its speed. */
  wasAway?: boolean | undefined;
  /** Bytes of blobs that had gone over the worker's socket when the lease was granted. */
  sentBefore?: number | undefined;
  /** Seconds of training by the master's clock; set by the first commit, unless it was away. */
  seconds?: number | undefined;
  /** The blob with the lease's data. */
  shard?: Sha256 | undefined;
  /** The update that came for it, once it is known to be a readable one; it may be refused all the same. */
  sound?: Sha256 | undefined;
  /** By how much its update lowers the loss on its own data, in nats per token. */
  gain?: number | undefined;
  /** Its gain is measured once the round is folded. */
  isForLater?: boolean | undefined;
  /** The gate was not sure of its update: it is audited in any case. */
  mustAudit?: boolean | undefined;
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
    /** When the round closes in any case. */
    public deadlineMs: number,
  ) {}

  add(lease: LiveLease): void {
    this.leases.set(lease.leaseId, lease);
  }

  /** Returns the worker's lease that is not settled yet. */
  openLeaseOf(worker: Address): LiveLease | undefined {
    return [...this.leases.values()].find(
      (lease) => lease.worker === worker && (lease.state === 'running' || lease.state === 'collecting'),
    );
  }

  markReady(lease: LiveLease, work: TrainedUpdate, nowMs: number): void {
    Object.assign(lease, { state: 'ready', work, awaySinceMs: undefined });
    if (hasQuorum(this.view().leases)) this.quorumAtMs ??= nowMs;
  }

  /** Lists the leases whose updates will be folded, in the order to sum them. */
  ready(): LiveLease[] {
    return [...this.leases.values()].filter((lease) => lease.state === 'ready').sort(inFoldOrder);
  }

  /** Lists the leases that are neither ready nor lost. */
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

/** Notes that the worker of a lease is disconnected, since when if it was not yet. */
export function markAway(lease: LiveLease, nowMs: number): void {
  lease.awaySinceMs ??= nowMs;
  lease.wasAway = true;
}

function leaseView(lease: LiveLease): LeaseView {
  const state = lease.state === 'collecting' ? 'running' : lease.state;
  const isArriving = lease.state === 'collecting';
  return { blocks: lease.end - lease.start, state, isArriving, awaySinceMs: lease.awaySinceMs };
}
