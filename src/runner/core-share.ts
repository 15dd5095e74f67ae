import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** This process's place among those of ours that compute on this machine. */
export interface CoreShare extends Disposable {
  /** Cores for each of them, at least one: two processes with a thread per core each run many times slower than with half. */
  threads(): number;
}

/**
 * Announces that this process computes. A file per process in a directory of the user's; those of processes that died do
 * not count.
 */
export function openCoreShare(dir = join(tmpdir(), `emeth-cores-${userInfo().uid}`)): CoreShare {
  const own = join(dir, String(process.pid));
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    writeFileSync(own, '');
  } catch {
    // Without it we only count fewer neighbours.
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
