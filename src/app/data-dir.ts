/** The directory with a role's state: made at the first start, and refused where it cannot be written. */
import { access, constants, mkdir } from 'node:fs/promises';
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

/** Makes the data directory, and `inner` in it. Throws `store/no-data-dir` unless it can be written. */
export async function makeDataDir(dir: string, inner = ''): Promise<void> {
  try {
    await mkdir(join(dir, inner), { recursive: true });
    await access(join(dir, inner), constants.W_OK);
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
