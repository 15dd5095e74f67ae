import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/lib/clock';

/** A clock on which sleeping takes no time: whoever sleeps moves it on. */
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
