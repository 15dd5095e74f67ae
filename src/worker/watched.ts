import type { Clock } from '../lib/clock';

/**
 * Runs work that must call `tick` at least every `limitMs`. When it does not, what `stalled` returns is thrown; `stalled` also
 * has to put an end to the work.
 */
export async function runWatched<T>(
  limitMs: number,
  clock: Clock,
  work: (tick: () => void) => Promise<T>,
  stalled: () => Error,
): Promise<T> {
  const done = new AbortController();
  let lastMs = clock.now();
  const watch = async (): Promise<never> => {
    for (;;) {
      const leftMs = lastMs + limitMs - clock.now();
      if (leftMs <= 0) throw stalled();
      await clock.sleep(leftMs, done.signal);
    }
  };
  const tick = () => {
    lastMs = clock.now();
  };
  try {
    return await Promise.race([work(tick), watch()]);
  } finally {
    done.abort();
  }
}
