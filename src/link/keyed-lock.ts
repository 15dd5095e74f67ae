/** A lock per key, so that each blob has one writer across all sockets of a process. */
import { orAbort } from './or-abort';

/** Runs one piece of work at a time per key; the others wait in order of arrival. */
export class KeyedLock {
  private readonly tails = new Map<string, Promise<void>>();

  /**
   * Runs `work` after all earlier work of the key. Throws the signal's reason when it aborts during the wait.
   */
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
