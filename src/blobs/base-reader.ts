/** Reads parts of a base's files that lie in a directory of this machine. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseFile, BaseReader } from './base-facts';

/** `base` is how messages call it. */
export function readerOfDirectory(base: string, dir: string, files: readonly BaseFile[]): BaseReader {
  return {
    base,
    files,
    async read(name, start, length) {
      await using file = await open(join(dir, name), 'r');
      const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, start);
      if (bytesRead === length) return buffer;
      throw Object.assign(new Error(`${join(dir, name)} has become shorter`), { code: 'ENODATA' });
    },
  };
}
