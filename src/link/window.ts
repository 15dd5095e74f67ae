/** Flow control of transfers: a budget of bytes that senders and receivers draw from. */

/** What each transfer may have of what is free in a pool: one alone has plenty, and dozens all go on. */
const SHARE = 1 / 16;
/** Less does not keep a line of 25 Mb/s with 80 ms to and fro full. */
const LEAST_SHARE_BYTES = 256 * 1024;

interface Waiter {
  amount: number;
  go(): void;
}

/**
 * A budget of bytes that is taken from and given back to; takers are served in order of arrival. The sender
 * of a blob takes what its receiver has granted. A receiver takes the window of every transfer from one pool,
 * which bounds all its transfers together.
 */
export class Window {
  private readonly waiters: Waiter[] = [];

  constructor(private available: number) {}

  give(amount: number): void {
    this.available += amount;
    while (this.waiters[0] && this.waiters[0].amount <= this.available) this.waiters.shift()?.go();
  }

  /**
   * Resolves once `amount` is taken. Throws the signal's reason when that aborts first; nothing is taken
   * then.
   */
  async take(amount: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.waiters.length === 0 && amount <= this.available) this.available -= amount;
    else await this.wait(amount, signal);
  }

  /** Takes a share of what is there, and of `most` bytes at most; returns how many that was. */
  async takeShare(most: number, signal: AbortSignal): Promise<number> {
    const share = this.shareOf(most);
    await this.take(share, signal);
    return share;
  }

  /** Returns what a transfer that could use `most` bytes should have now. */
  shareOf(most: number): number {
    return Math.min(most, Math.max(LEAST_SHARE_BYTES, Math.floor(this.available * SHARE)));
  }

  /** Takes what is there now, at most so much, and returns how much that was. */
  takeNow(most: number): number {
    const taken = this.waiters.length === 0 ? Math.min(most, this.available) : 0;
    this.available -= taken;
    return taken;
  }

  private wait(amount: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        amount,
        go: () => {
          this.available -= amount;
          signal.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      const giveUp = () => {
        this.waiters.splice(this.waiters.indexOf(waiter), 1);
        reject(signal.reason);
        this.give(0); // a later waiter may need less
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.waiters.push(waiter);
    });
  }
}
