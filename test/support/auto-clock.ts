/** A clock for tests in which sleeping takes no time. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/lib/clock';

/** Returns a clock that a sleep moves forward at once. */
export function autoClock(startMs = 1_000_000): Clock {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    async sleep(ms, signal) {
      await turn();
      signal?.throwIfAborted();
      nowMs += ms;
    },
  };
}
