interface Waiter {
  amount: number;
  go(): void;
}

/**
 * An amount that is taken and given back; takers wait their turn. The sender of a blob takes from what its receiver
 * granted; a receiver takes every transfer's window from one pool, so that all of them together stay bounded.
 */
export class Window {
  private readonly waiters: Waiter[] = [];

  constructor(private available: number) {}

  give(amount: number): void {
    this.available += amount;
    while (this.waiters[0] && this.waiters[0].amount <= this.available) this.waiters.shift()?.go();
  }

  /** Resolves once `amount` was taken. Throws the signal's reason when it aborts first; then nothing was taken. */
  async take(amount: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.waiters.length === 0 && amount <= this.available) this.available -= amount;
    else await this.wait(amount, signal);
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
        this.give(0); // those behind may want less
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.waiters.push(waiter);
    });
  }
}
