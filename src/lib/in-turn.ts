/** A queue of asynchronous work in memory, for work that must not overlap. */

/** Returns a function that runs its arguments one by one, in order. A failure does not stop the rest. */
export function inTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work, work);
    last = result.catch(() => undefined);
    return result;
  };
}
