/** Free space, and how much of it is too little. */
import { opendir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from './errors';

/** Below `least` a role cannot work, below `good` it should not. */
export const DISK_BYTES = { least: 1e9, good: 5e9 };

/** Free bytes where a directory is, or would be: a data directory is only made at the first start. */
export async function freeBytes(dir: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(dir);
    return bavail * bsize;
  } catch (error) {
    if (dirname(dir) === dir) throw error;
    return freeBytes(dirname(dir));
  }
}

/** Bytes of all files below a directory, as far as they can be looked at: some may go meanwhile. */
export async function usedBytes(dir: string): Promise<number> {
  let sum = 0;
  try {
    for await (const entry of await opendir(dir, { recursive: true })) {
      if (entry.isFile()) sum += (await stat(join(entry.parentPath, entry.name))).size;
    }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  return sum;
}
