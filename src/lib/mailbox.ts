/** A queue that turns the callbacks of many sources into the events of one loop. */
import { type Clock, systemClock } from './clock';

/** The longest wait of a Node timer. A reader that waits longer gets `undefined` early and asks again. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/**
 * An unbounded queue with one reader: callbacks push, one loop takes. It turns events from many sources
 * into one sequence, so that the loop's state needs no locks.
 */
export class Mailbox<T> {
  private readonly items: T[] = [];
  private wake: (() => void) | undefined;

  constructor(private readonly clock: Clock = systemClock) {}

  push(item: T): void {
    this.items.push(item);
    this.wake?.();
  }

  /** Puts an item back that could not be dealt with; it is the next again. */
  putBack(item: T): void {
    this.items.unshift(item);
    this.wake?.();
  }

  /** The next item; undefined when `waitMs` passed without one. Throws the signal's reason when it aborts. */
  async next(waitMs: number, signal: AbortSignal): Promise<T | undefined> {
    signal.throwIfAborted();
    if (this.items.length === 0) await this.arrival(waitMs, signal);
    signal.throwIfAborted();
    return this.items.shift();
  }

  private async arrival(waitMs: number, signal: AbortSignal): Promise<void> {
    const awake = new AbortController();
    const wake = () => awake.abort();
    this.wake = wake;
    signal.addEventListener('abort', wake, { once: true });
    try {
      await this.clock.sleep(Math.max(0, Math.min(waitMs, MAX_WAIT_MS)), awake.signal);
    } catch (error) {
      if (!awake.signal.aborted) throw error;
    } finally {
      signal.removeEventListener('abort', wake);
      this.wake = undefined;
    }
  }
}
