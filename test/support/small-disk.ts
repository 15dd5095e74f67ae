/** A file system in memory of a few MB, to be filled up: needs root, and a system that lets it mount. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface SmallDisk extends Disposable {
  readonly path: string;
  freeBytes(): number;
  /** Leaves so many bytes free, whatever else was written meanwhile. */
  fill(leftBytes?: number): void;
  /** Takes back what `fill` wrote. */
  empty(): void;
}

/** Mounts a disk of `mib` MiB at a new directory. */
export function mountSmallDisk(path: string, mib: number): SmallDisk {
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', path], { stdio: 'pipe' });
  const filler = join(path, 'filler');
  const freeBytes = () => {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  };
  return {
    path,
    freeBytes,
    fill: (leftBytes = 0) => writeFileSync(filler, Buffer.alloc(Math.max(0, freeBytes() - leftBytes)), { flag: 'a' }),
    empty: () => rmSync(filler, { force: true }),
    [Symbol.dispose]: () => void execFileSync('umount', ['-l', path]),
  };
}

/** Why no disk can be mounted here, if so. */
export function noSmallDisk(): string | undefined {
  if (process.platform !== 'linux') return 'tmpfs is of Linux';
  if (process.getuid?.() !== 0) return 'only root may mount';
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'pipe' });
    return undefined;
  } catch {
    return 'this container may not mount';
  }
}
