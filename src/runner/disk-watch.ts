/** Keeps a child from filling the disk it works on: no rlimit counts all files of all its processes. */
import { statfs } from 'node:fs/promises';

/** Free space below which a child is stopped. */
const FLOOR_BYTES = 256 * 2 ** 20;
const LOOK_MS = 250;
/** Of what a role keeps free anyhow, this part is left to children. */
const LEFT_OF_ROLE = 4;

/** Returns the free space below which the children of a role are stopped that keeps so much free itself. */
export function childFloorBytes(minFreeBytes: number | undefined): number {
  return minFreeBytes === undefined ? FLOOR_BYTES : Math.min(FLOOR_BYTES, minFreeBytes / LEFT_OF_ROLE);
}

/** Calls `onFull` once, when less than `floorBytes` are free where `dir` is. Disposing ends the watch. */
export function watchDisk(dir: string, onFull: () => void, floorBytes = FLOOR_BYTES): Disposable {
  const timer = setInterval(async () => {
    const { bavail, bsize } = await statfs(dir).catch(() => ({ bavail: Number.POSITIVE_INFINITY, bsize: 1 }));
    if (bavail * bsize >= floorBytes) return;
    clearInterval(timer);
    onFull();
  }, LOOK_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
