/** Whether a process is running, for tests that kill some. */
import { readdirSync, readFileSync } from 'node:fs';
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

/** Whether a signal has halted the process; Linux only. */
export function isHalted(pid: number): boolean {
  return /^\d+ \(.*\) [Tt]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** Lists the processes that this one has started, and that have not ended; Linux only. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}
