/** A file beside a SQLite database that gives its space up on a full disk, so that the queue can write. */
import { randomBytes } from 'node:crypto';
import { open, stat, truncate } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Clock } from '../lib/clock';
import type { DiskFloor } from '../lib/disk-floor';
import type { Logger } from '../lib/logger';

const RESERVE_BYTES = 16 * 2 ** 20;
/** What one full disk takes of the reserve: many small writes of the queue fit in. */
const PIECE_BYTES = 2 ** 20;
const LOOK_MS = 5000;

/** Returns the path of a database's reserve. */
export function reservePath(databasePath: string): string {
  return `${databasePath}.reserve`;
}

/** Gives a piece of the reserve up. False when nothing is left of it, or there is none. */
export async function shrinkReserve(databasePath: string): Promise<boolean> {
  const path = reservePath(databasePath);
  const bytes = await sizeOf(path);
  if (bytes === 0) return false;
  await truncate(path, Math.max(0, bytes - PIECE_BYTES));
  return true;
}

/** Until the signal, makes the reserve whole while the disk has room above its floor. */
export async function keepReserve(
  databasePath: string,
  { floor, clock, logger }: { floor: Pick<DiskFloor, 'roomBytes'>; clock: Clock; logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  for (let isWhole = true; !signal.aborted; ) {
    const before = isWhole;
    isWhole = await fillReserve(databasePath, floor).catch(() => false);
    if (before && !isWhole) logger.warn('The disk has no room for the reserve of the queue’s database');
    if (!before && isWhole) logger.info('The reserve of the queue’s database is whole');
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
  }
}

/** Makes the reserve whole if there is room for it. Returns whether it is. */
export async function fillReserve(databasePath: string, floor: Pick<DiskFloor, 'roomBytes'>): Promise<boolean> {
  const path = reservePath(databasePath);
  const lacking = RESERVE_BYTES - (await sizeOf(path));
  if (lacking <= 0) return true;
  if ((await floor.roomBytes()) < lacking) return false;
  const file = await open(path, 'a', 0o600);
  try {
    for (let left = lacking; left > 0; left -= PIECE_BYTES) {
      // Zeros would take no space on a file system that compresses.
      await file.appendFile(await promisify(randomBytes)(Math.min(left, PIECE_BYTES)));
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return true;
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}
