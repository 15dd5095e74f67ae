/** A clock that moves only when the test says so, and a wait for everything that can run without it. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/lib/clock';

interface Sleeper {
  atMs: number;
  wake(): void;
}

/** Time stands still until `step` takes it to the next sleeper. */
export class SteppedClock implements Clock {
  private readonly sleepers = new Set<Sleeper>();

  constructor(private nowMs = 1_700_000_000_000) {}

  now(): number {
    return this.nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const end = (settle: () => void) => {
        this.sleepers.delete(sleeper);
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = () => end(() => reject(signal?.reason));
      const sleeper = { atMs: this.nowMs + ms, wake: () => end(resolve) };
      this.sleepers.add(sleeper);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Wakes the sleeper whose time comes first, and moves there. False when nobody sleeps. */
  step(): boolean {
    let next: Sleeper | undefined;
    for (const sleeper of this.sleepers) if (!next || sleeper.atMs < next.atMs) next = sleeper;
    if (!next) return false;
    this.nowMs = Math.max(this.nowMs, next.atMs);
    next.wake();
    return true;
  }

  /** How many are asleep. */
  get sleeping(): number {
    return this.sleepers.size;
  }
}

/** Turns of the event loop without any work before everything counts as settled. */
const QUIET_TURNS = 3;

/**
 * Resolves when no promise can go on by itself and no file operation is under way: what is left waits for a
 * clock, or for the test. Exact on any machine, because it asks Node what is open instead of waiting a while.
 */
export async function settled(): Promise<void> {
  for (let quiet = 0; quiet < QUIET_TURNS; ) {
    await turn();
    const isBusy = process.getActiveResourcesInfo().some((name) => name.startsWith('FS') || name === 'CloseReq');
    quiet = isBusy ? 0 : quiet + 1;
  }
}
