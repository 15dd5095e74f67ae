/** A wait that ends when a signal aborts. */

/** Resolves with the promise. Throws the signal's reason when that aborts first; the promise goes on. */
export function orAbort(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    // Also after giving up: what fails unheard would end the process.
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
