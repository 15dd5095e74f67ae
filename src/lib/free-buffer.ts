/** Gives the memory of buffers back at once. */
import { MessageChannel } from 'node:worker_threads';

/** Smaller ones may lie in a pool with others. */
const LEAST_BYTES = 16_384;
/** A closed port takes what is given to it, and drops it. */
const { port1: nowhere } = new MessageChannel();
nowhere.close();

/**
 * Drops a piece of a stream whose bytes are of no more use, and empties it. Left to the garbage collection,
 * pieces pile up: to V8 each is a small object, whatever memory is behind it. One that shares its memory with
 * bytes behind it, which somebody may not have read yet, is left alone.
 */
export function freeBuffer(bytes: Uint8Array): void {
  const { buffer, byteOffset, byteLength } = bytes;
  if (byteLength < LEAST_BYTES || byteOffset + byteLength < buffer.byteLength) return;
  nowhere.postMessage(undefined, [buffer as ArrayBuffer]);
}
