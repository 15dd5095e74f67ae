/** What reaches a job's one loop, and the way from the fleet's callbacks into it. */
import type { Address, Sha256 } from '../domain/ids';
import type { AssignmentEvents } from '../fleet/assignment';
import type { Clock } from '../lib/clock';
import type { Offer, WorkerMessage } from '../protocol/link';
import type { TrainedUpdate } from '../protocol/update';
import type { DrawnLeaseRow } from '../store/audits';

export type JobEvent =
  | { type: 'join'; worker: Address; held: Offer['held'] }
  | { type: 'away'; worker: Address }
  | { type: 'expelled'; worker: Address }
  | { type: 'message'; worker: Address; message: WorkerMessage; atMs: number }
  /** `commit`: which commit of the lease was judged, counted from 1. */
  | { type: 'collected'; leaseId: string; commit: number; verdict: UpdateVerdict }
  /** An auditor's answer was fetched and compared, or could not be. */
  | { type: 'audited'; leaseId: string; answer: AuditAnswer }
  /** The own child has done a lease again; without an update it failed to. */
  | { type: 'redone'; lease: DrawnLeaseRow; startedAtMs: number; update?: Sha256; distance?: number }
  /** The held-out loss after a fold was measured; undefined when that failed. */
  | { type: 'checked'; round: number; loss: number | undefined };

/** Whether an update may be folded. `isFault`: the worker is to blame for the refusal. */
export type UpdateVerdict =
  | { accepted: true; work: TrainedUpdate }
  | { accepted: false; reason: string; isFault: boolean };

/** What an auditor's answer is worth. `cut`: the connection ended before it was here. */
export type AuditAnswer =
  | { kind: 'cut' }
  | { kind: 'unsound'; reason: string; isFault: boolean }
  | { kind: 'compared'; update: Sha256; distance: number };

/**
 * Passes what happens to a job's workers on as events; progress is left out, as the fleet itself shows it.
 */
export function passEvents(push: (event: JobEvent) => void, clock: Pick<Clock, 'now'>): AssignmentEvents {
  return {
    onJoin: (worker, held) => push({ type: 'join', worker, held }),
    onAway: (worker) => push({ type: 'away', worker }),
    onExpelled: (worker) => push({ type: 'expelled', worker }),
    onMessage(worker, message) {
      if (message.type !== 'lease.progress') push({ type: 'message', worker, message, atMs: clock.now() });
    },
  };
}
