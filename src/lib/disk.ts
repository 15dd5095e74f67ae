/** Free space, and how much of it is too little. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

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
