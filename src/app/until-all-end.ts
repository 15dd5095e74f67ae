/** How a daemon waits for its loops, so that nothing is closed while one of them still runs. */

/**
 * Waits until all parts of a process have ended. When one fails, stops the others and waits for them, so that
 * nothing is closed while they use it; then throws its error.
 */
export async function untilAllEnd(parts: readonly Promise<void>[], stop: AbortController): Promise<void> {
  const failures: unknown[] = [];
  const watched = parts.map(async (part) => {
    try {
      await part;
    } catch (error) {
      failures.push(error);
      stop.abort(error);
    }
  });
  await Promise.all(watched);
  if (failures.length > 0) throw failures[0];
}
