import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** True for a process that runs; one that ended and was not yet collected by its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    // Without /proc (macOS) the signal alone decides.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && process.platform !== 'linux';
  }
}

/** Resolves when the process has ended; the test's own timeout is the limit. */
export async function waitUntilGone(pid: number): Promise<void> {
  while (isRunning(pid)) await delay(20);
}
