/** One at a time per key; others wait in order of arrival. */
export class KeyedLock {
  private readonly tails = new Map<string, Promise<void>>();

  /** Runs `work` when everybody before is done. An abort while waiting throws the signal's reason. */
  async run<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key) ?? Promise.resolve();
    let release = () => {};
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.append(
      key,
      before.then(() => mine),
    );
    try {
      await orAbort(before, signal);
      return await work();
    } finally {
      release();
    }
  }

  private append(key: string, tail: Promise<void>): void {
    this.tails.set(key, tail);
    void tail.then(() => {
      if (this.tails.get(key) === tail) this.tails.delete(key);
    });
  }
}

function orAbort(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    if (signal.aborted) return giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    void promise.then(() => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    });
  });
}
