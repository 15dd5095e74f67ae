/** Divides the CPU cores of a machine among this program's computing processes. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

/** This process's entry in the register of processes that compute on this machine. */
export interface CoreShare extends Disposable {
  /**
   * Cores per process, at least one. Two processes with a thread per core each run many times slower than
   * with half.
   */
  threads(): number;
}

/**
 * Registers this process as computing, by a file in a directory of the user. Files of dead processes do not
 * count.
 */
export function openCoreShare(dir = join(tmpdir(), `emeth-cores-${process.getuid?.() ?? 'all'}`)): CoreShare {
  const own = join(dir, String(process.pid));
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    writeFileSync(own, '');
  } catch {
    // Without the file, other processes merely do not count this one.
  }
  return {
    threads: () => Math.max(1, Math.floor(availableParallelism() / Math.max(1, countLiving(dir)))),
    [Symbol.dispose]: () => rmSync(own, { force: true }),
  };
}

function countLiving(dir: string): number {
  try {
    return readdirSync(dir).filter((name) => isAlive(Number(name))).length;
  } catch {
    return 1;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
