/**
 * Waits until all parts of a process have ended. When one fails, the others are told to stop and are waited for, so that nothing is
 * closed under them; then its error is thrown.
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
