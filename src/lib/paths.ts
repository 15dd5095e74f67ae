/** Paths that an untrusted process may have had a hand in. */
import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import { isAbsolute, relative } from 'node:path';
import { AppError } from './errors';

export type PathError = { code: 'files/not-a-file'; path: string } | { code: 'files/outside'; path: string };

/** Whether a path is a directory or lies in it, as written. */
export function isWithin(path: string, dir: string): boolean {
  const way = relative(dir, path);
  return way === '' || !(way === '..' || way.startsWith('../') || isAbsolute(way));
}

/**
 * Opens a file for reading that is a regular one, not a link to one. With `within` it also has to lie in that
 * directory, whatever links are on the way: what is asked is the file that was opened, so nobody can exchange
 * it in between. Throws a `PathError`.
 */
export async function openRegular(path: string, within?: string): Promise<FileHandle> {
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((cause) => {
    throw cause.code === 'ELOOP' ? notAFile(path, cause) : cause;
  });
  try {
    if (!(await file.stat()).isFile()) throw notAFile(path);
    if (within !== undefined && !isWithin(await pathOf(file, path), await realpath(within))) {
      throw new AppError<PathError>({ code: 'files/outside', path }, `${path} leads out of ${within}.`);
    }
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Where an open file really lies; without /proc (macOS), where its path leads now. */
function pathOf(file: FileHandle, path: string): Promise<string> {
  return process.platform === 'linux' ? readlink(`/proc/self/fd/${file.fd}`) : realpath(path);
}

function notAFile(path: string, cause?: unknown): AppError<PathError> {
  return new AppError({ code: 'files/not-a-file', path }, `${path} is not a regular file.`, { cause });
}
