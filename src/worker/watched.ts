/** A watchdog for work that must keep making progress. */
import type { Clock } from '../lib/clock';

/**
 * Runs work that must call `tick` at least every `limitMs`. Otherwise throws the error that `stalled`
 * returns; `stalled` must also stop the work.
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
