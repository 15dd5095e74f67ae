/** Reads parts of a base's files that lie on this machine. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseFile, BaseReader } from './base-facts';

/** `base` is how messages call it. */
export function readerOfDirectory(base: string, dir: string, files: readonly BaseFile[]): BaseReader {
  return readerOfFiles(
    base,
    files.map((file) => ({ ...file, path: join(dir, file.name) })),
  );
}

/** As for a directory, of files that lie anywhere. */
export function readerOfFiles(base: string, files: readonly (BaseFile & { path: string })[]): BaseReader {
  return {
    base,
    files,
    async read(name, start, length) {
      const path = files.find((file) => file.name === name)?.path ?? name;
      await using file = await open(path, 'r');
      const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, start);
      if (bytesRead === length) return buffer;
      throw Object.assign(new Error(`${path} has become shorter`), { code: 'ENODATA' });
    },
  };
}
