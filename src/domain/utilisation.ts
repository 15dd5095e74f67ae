/** How much of its time in a job a worker has trained, by the clock of its master. */

export interface WorkTime {
  /** When it was ready for the job for the first time. */
  joinedAtMs: number;
  /** Of settled leases, its own and those of others that it did again. */
  trainedMs: number;
  /** Since when it has been at a lease; undefined while it waits for one. */
  busySinceMs?: number | undefined;
}

/**
 * Returns the time after a lease. It counts by the seconds that the worker says its training took, at most
 * what passed since it was granted; one that came to nothing does not count.
 */
export function afterLease(time: WorkTime, endedAtMs: number, claimedSeconds: number | undefined): WorkTime {
  const { busySinceMs = endedAtMs } = time;
  const trainedMs = Math.min(1000 * (claimedSeconds ?? 0), Math.max(0, endedAtMs - busySinceMs));
  return { ...time, trainedMs: time.trainedMs + trainedMs, busySinceMs: undefined };
}

/** Returns the part of its time that a worker has trained since it joined; its present lease counts. */
export function utilisationOf({ joinedAtMs, trainedMs, busySinceMs }: WorkTime, nowMs: number): number {
  const present = busySinceMs === undefined ? 0 : nowMs - busySinceMs;
  const part = (trainedMs + present) / Math.max(1, nowMs - joinedAtMs);
  return Math.round(1000 * Math.min(1, Math.max(0, part))) / 1000;
}
