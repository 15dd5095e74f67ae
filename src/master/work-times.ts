/** Keeps how the workers of a job spend their time, from what they are given and what they bring. */
import type { Address } from '../domain/ids';
import { afterLease, utilisationOf, type WorkTime } from '../domain/utilisation';

/** What of a job is looked at. */
interface TimedJob {
  readonly live: { readonly workTimes: Map<Address, WorkTime> };
}

/** Notes that a worker is ready; only the first time counts. */
export function noteJoined({ live: { workTimes } }: TimedJob, worker: Address, nowMs: number): void {
  if (!workTimes.has(worker)) workTimes.set(worker, { joinedAtMs: nowMs, trainedMs: 0 });
}

/** Notes that a worker was given a lease, or somebody's to do again. */
export function noteBusy({ live: { workTimes } }: TimedJob, worker: Address, nowMs: number): void {
  workTimes.set(worker, { ...(workTimes.get(worker) ?? { joinedAtMs: nowMs, trainedMs: 0 }), busySinceMs: nowMs });
}

/** Notes that a lease is over; `seconds` are those that its worker says to have trained, if it did. */
export function noteFree({ live: { workTimes } }: TimedJob, worker: Address, nowMs: number, seconds?: number): void {
  const time = workTimes.get(worker);
  if (time) workTimes.set(worker, afterLease(time, nowMs, seconds));
}

/** Lists the part of its time that each worker has trained, until now or until training was over. */
export function listUtilisation(
  live: { workTimes: ReadonlyMap<Address, WorkTime>; utilisation?: Record<Address, number> | undefined },
  nowMs: number,
): Record<Address, number> {
  if (live.utilisation) return live.utilisation;
  return Object.fromEntries([...live.workTimes].map(([worker, time]) => [worker, utilisationOf(time, nowMs)]));
}
