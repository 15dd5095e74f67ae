/**
 * An unbounded queue with one reader: callbacks push, one loop takes. It turns events from many sources into one
 * sequence, so that the loop's state needs no locks.
 */
export class Mailbox<T> {
  private readonly items: T[] = [];
  private wake: (() => void) | undefined;

  push(item: T): void {
    this.items.push(item);
    this.wake?.();
  }

  /** The next item; undefined when `waitMs` passed without one. Throws the signal's reason when it aborts. */
  async next(waitMs: number, signal: AbortSignal): Promise<T | undefined> {
    signal.throwIfAborted();
    if (this.items.length === 0) await this.arrival(waitMs, signal);
    signal.throwIfAborted();
    return this.items.shift();
  }

  private arrival(waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, Math.min(waitMs, 2 ** 31 - 1)));
      signal.addEventListener('abort', done, { once: true });
      this.wake = done;
    });
  }
}
