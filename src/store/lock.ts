import { mkdir, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { lock } from 'proper-lockfile';
import { AppError, errorCode } from '../lib/errors';

export type LockError = { code: 'store/locked'; dir: string };

/** The owner of a lock touches it so often … */
const BEAT_MS = 1000;
/** … a second process looks so long whether it does … */
const WATCH_MS = 2500;
/** … and takes over a lock that nobody touched for so long: its owner crashed. */
const STALE_MS = 10_000;

/**
 * Makes this process the only one of its role in a data directory, until it is disposed of or dies. Throws `store/locked` within
 * seconds where another one lives; waits up to ten where one crashed.
 */
export async function lockDataDir(dir: string): Promise<AsyncDisposable> {
  await mkdir(dir, { recursive: true });
  for (;;) {
    const beat = await readBeat(dir);
    const release = await tryLock(dir);
    if (release) return { [Symbol.asyncDispose]: () => release().catch(() => undefined) };
    await delay(WATCH_MS);
    const later = await readBeat(dir);
    if (beat === undefined || later === undefined || later === beat) continue;
    throw new AppError<LockError>(
      { code: 'store/locked', dir },
      `Another process works in ${dir}; end it, or give this one its own --data-dir.`,
    );
  }
}

async function tryLock(dir: string): Promise<(() => Promise<void>) | undefined> {
  try {
    return await lock(dir, { stale: STALE_MS, update: BEAT_MS });
  } catch (error) {
    if (errorCode(error) === 'ELOCKED') return undefined;
    throw error;
  }
}

async function readBeat(dir: string): Promise<number | undefined> {
  try {
    return (await stat(`${dir}.lock`)).mtimeMs;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
