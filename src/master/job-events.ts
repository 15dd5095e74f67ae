/** What reaches a job's one loop, and the way from the fleet's callbacks into it. */
import type { Address } from '../domain/ids';
import type { AssignmentEvents } from '../fleet/assignment';
import type { Clock } from '../lib/clock';
import type { Offer, WorkerMessage } from '../protocol/link';
import type { TrainedUpdate } from '../protocol/update';

export type JobEvent =
  | { type: 'join'; worker: Address; held: Offer['held'] }
  | { type: 'away'; worker: Address }
  | { type: 'expelled'; worker: Address }
  | { type: 'message'; worker: Address; message: WorkerMessage; atMs: number }
  /** `commit`: which commit of the lease was judged, counted from 1. */
  | { type: 'collected'; leaseId: string; commit: number; verdict: UpdateVerdict };

/** Whether an update may be folded. `isFault`: the worker is to blame for the refusal. */
export type UpdateVerdict =
  | { accepted: true; work: TrainedUpdate }
  | { accepted: false; reason: string; isFault: boolean };

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
