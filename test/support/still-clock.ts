/** A clock that moves only when a test says so; a sleep takes no time and is remembered. */
import type { Clock } from '../../src/lib/clock';

export interface StillClock {
  clock: Clock;
  /** Lengths of all sleeps so far. */
  slept: number[];
  pass(ms: number): void;
}

/** `onSleep` runs at the end of each sleep. */
export function openStillClock(onSleep: () => Promise<void> = async () => undefined): StillClock {
  let nowMs = 1_000_000;
  const slept: number[] = [];
  return {
    slept,
    clock: {
      now: () => nowMs,
      async sleep(ms: number) {
        slept.push(ms);
        nowMs += ms;
        await onSleep();
      },
    },
    pass(ms: number) {
      nowMs += ms;
    },
  };
}
