/** Transfers into a store that go on where they were cut, whatever they come from. */
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../lib/errors';
import type { BlobPart } from './blob-store';

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 100;

export interface Persistence {
  /** Failures in a row, without progress between them, after which a transfer fails. */
  attempts?: number | undefined;
  /** Whether the other side may do later what it did not do now. */
  isPassing(error: unknown): boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Retries `work` with growing pauses while it fails in a way that passes. Progress resets the count of
 * failures.
 */
export async function persist<T>(
  { attempts = ATTEMPTS, isPassing, signal }: Persistence,
  work: (onProgress: () => void) => Promise<T>,
): Promise<T> {
  let failures = 0;
  for (;;) {
    try {
      return await work(() => {
        failures = 0;
      });
    } catch (error) {
      failures += 1;
      if (!isPassing(error) || failures >= attempts || signal?.aborted) throw error;
      await delay(FIRST_PAUSE_MS * 3 ** (failures - 1), undefined, signal ? { signal } : {});
    }
  }
}

/**
 * Has `receive` fetch the rest of a part. If the part turns out to be of another blob, it fetches all of it
 * again, once.
 */
export async function completePart(part: BlobPart, bytes: number, receive: () => Promise<void>): Promise<void> {
  const isResumed = part.offset > 0;
  try {
    if (part.offset < bytes) await receive();
    await part.finish();
  } catch (error) {
    if (!isResumed || errorCode(error) !== 'blobs/hash-mismatch') throw error;
    await receive();
    await part.finish();
  }
}
