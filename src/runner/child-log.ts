import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const MAX_BYTES = 1024 * 1024;

/**
 * The file a child's own words go to, for whoever looks into a crash. A new child starts it afresh; beyond one megabyte it
 * stays as it is. A disk that takes no logs must not stop the work, so failures are ignored.
 */
export function openChildLog(path: string): { write(line: string): void; close(): void } {
  let file: number | undefined;
  let left = MAX_BYTES;
  try {
    mkdirSync(dirname(path), { recursive: true });
    file = openSync(path, 'w');
  } catch {
    file = undefined;
  }
  return {
    write(line) {
      left -= line.length + 1;
      if (file === undefined || left < 0) return;
      try {
        writeSync(file, `${line}\n`);
      } catch {
        left = 0;
      }
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}
