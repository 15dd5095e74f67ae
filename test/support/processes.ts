/** Whether a process is running, for tests that kill some. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Whether the process is running; a zombie, not yet collected by its parent, is not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    // Without /proc (macOS) the signal alone decides.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && process.platform !== 'linux';
  }
}

/** Resolves when the process has ended; limited by the timeout of the test. */
export async function waitUntilGone(pid: number): Promise<void> {
  while (isRunning(pid)) await delay(20);
}
