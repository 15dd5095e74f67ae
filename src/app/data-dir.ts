/** The directory with a role's state: made at the first start, and refused where it cannot be written. */
import { access, chmod, constants, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError, describeError, errorCode } from '../lib/errors';

export type DataDirError = { code: 'store/no-data-dir'; dir: string };

const reasons: Readonly<Record<string, string>> = {
  EROFS: 'it lies on a read-only file system',
  EACCES: 'this account may not write there',
  EPERM: 'this account may not write there',
  ENOTDIR: 'a part of its path is a file',
  EEXIST: 'there is a file of that name',
  ENOSPC: 'the disk is full',
};

/**
 * Makes the data directory, and `inner` in it, for this account alone; one that an earlier version left open
 * to others is closed to them. Throws `store/no-data-dir` unless it can be written.
 */
export async function makeDataDir(dir: string, inner = ''): Promise<void> {
  try {
    await mkdir(join(dir, inner), { recursive: true, mode: 0o700 });
    await access(join(dir, inner), constants.W_OK);
    if ((await openMode(dir)) !== undefined) await chmod(dir, 0o700);
  } catch (cause) {
    const trouble = await accessTrouble(join(dir, inner)).catch(() => cause);
    const reason = reasons[errorCode(trouble)] ?? describeError(trouble);
    throw new AppError<DataDirError>(
      { code: 'store/no-data-dir', dir },
      `The data directory ${dir} cannot be written: ${reason}; choose another with --data-dir.`,
      { cause },
    );
  }
}

/** Written by every role; what does not have it may be anybody's directory, which is left as it is. */
const MARK = 'lock.sqlite';

/**
 * Returns the mode of a data directory of this account that others can look into, as `0755`; undefined where
 * they cannot, where it is not a role's, and on Windows, which has no such modes.
 */
export async function openMode(dir: string): Promise<string | undefined> {
  const isOurs = await stat(join(dir, MARK)).catch(() => undefined);
  if (!isOurs || process.platform === 'win32') return undefined;
  const { mode, uid } = await stat(dir);
  if (uid !== process.getuid?.() || (mode & 0o077) === 0) return undefined;
  return (mode & 0o777).toString(8).padStart(4, '0');
}

/**
 * Returns what keeps this process from writing into the nearest directory there is. Node itself calls a
 * read-only file system a missing file when it makes several directories at once. Throws when nothing does.
 */
async function accessTrouble(path: string): Promise<unknown> {
  const trouble = await access(path, constants.W_OK).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (trouble === undefined) throw new Error(`${path} can be written`);
  return errorCode(trouble) === 'ENOENT' && dirname(path) !== path ? accessTrouble(dirname(path)) : trouble;
}
