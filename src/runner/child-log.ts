/** The log file of a Python child, bounded in size. */
import { closeSync, constants, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const MAX_BYTES = 1024 * 1024;
const { O_WRONLY, O_CREAT, O_EXCL } = constants;

/**
 * Opens the file that keeps a child's output for the investigation of a crash. A new child overwrites it;
 * output beyond one megabyte is dropped. Failures are ignored, because a full disk must not stop the work.
 */
export function openChildLog(path: string): { write(line: string): void; close(): void } {
  let file: number | undefined;
  let left = MAX_BYTES;
  try {
    mkdirSync(dirname(path), { recursive: true });
    // The last child could write to this directory too, and may have left a link to some other file.
    rmSync(path, { recursive: true, force: true });
    file = openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
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
