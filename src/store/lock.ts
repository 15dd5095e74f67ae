import { mkdir } from 'node:fs/promises';
import { lock } from 'proper-lockfile';
import { AppError, errorCode } from '../lib/errors';

export type LockError = { code: 'store/locked'; dir: string };

/** Makes this process the only one of its role in a data directory, until it is disposed of or dies. */
export async function lockDataDir(dir: string): Promise<AsyncDisposable> {
  await mkdir(dir, { recursive: true });
  try {
    const release = await lock(dir, {
      stale: 10_000,
      update: 2000,
      retries: { retries: 4, minTimeout: 3000, maxTimeout: 3000 },
    });
    return { [Symbol.asyncDispose]: () => release().catch(() => undefined) };
  } catch (cause) {
    if (errorCode(cause) !== 'ELOCKED') throw cause;
    throw new AppError<LockError>(
      { code: 'store/locked', dir },
      `Another process works in ${dir}; end it, or give this one its own --data-dir.`,
      { cause },
    );
  }
}
