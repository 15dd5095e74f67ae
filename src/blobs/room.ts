/** A bound on the bytes that are held in memory at the same time. */
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../lib/errors';
import { freeBuffer } from '../lib/free-buffer';

export type RoomError = { code: 'blobs/no-memory'; status: 503; maxBytes: number };

const LOOK_MS = 20;
const MAX_SPARE = 3;

/** Bytes taken are given back by whoever took them. */
export class Room {
  private held = 0;
  /**
   * Of parts that have gone: memory given back to the system and asked for again is more memory for a while.
   */
  private readonly spare: Buffer[] = [];

  constructor(
    private readonly maxBytes: number,
    private readonly partBytes: number,
    private readonly waitMs: number,
  ) {}

  /**
   * Waits until there is room. Throws `blobs/no-memory` when there is none for long: takers may wait for
   * each other.
   */
  async take(bytes: number): Promise<void> {
    for (const endMs = performance.now() + this.waitMs; this.held + bytes > this.maxBytes; await delay(LOOK_MS)) {
      if (performance.now() < endMs) continue;
      throw new AppError<RoomError>(
        { code: 'blobs/no-memory', status: 503, maxBytes: this.maxBytes },
        'This storage is receiving as much as it can hold; send the rest later.',
      );
    }
    this.held += bytes;
  }

  give(bytes: number): void {
    this.held -= bytes;
  }

  /** Returns memory for a part. Its bytes are not cleared. */
  takePart(): Buffer {
    return this.spare.pop() ?? Buffer.alloc(this.partBytes);
  }

  givePart(part: Buffer): void {
    if (this.spare.length < MAX_SPARE) this.spare.push(part);
    else freeBuffer(part);
  }
}
