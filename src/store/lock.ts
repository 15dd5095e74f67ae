/** The lock of a data directory: one process per role writes it. */
import { mkdir, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { lock } from 'proper-lockfile';
import { AppError, errorCode } from '../lib/errors';

export type LockError = { code: 'store/locked'; dir: string };

/** How often the owner of a lock touches it. */
const BEAT_MS = 1000;
/** How long a second process watches whether the lock is touched. */
const WATCH_MS = 2500;
/** A lock untouched for this long belongs to a crashed process and is taken over. */
const STALE_MS = 10_000;

/**
 * Makes this process the only one of its role in a data directory until disposed. Throws `store/locked`
 * within seconds if another process holds the directory; waits up to ten seconds if one crashed.
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
