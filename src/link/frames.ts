/** The binary frame that carries a piece of a blob, encoded and decoded. */
import { freeBuffer } from '../lib/free-buffer';
import { CHUNK_BYTES } from '../protocol/link';

/**
 * A piece of a blob. As a frame: [u8 kind = 1][u32 transfer][u64 offset][1 … CHUNK_BYTES bytes], big-endian.
 */
export interface Chunk {
  transfer: number;
  /** Position of the first byte in the blob. */
  offset: number;
  bytes: Uint8Array;
}

export const HEADER_BYTES = 13;
const KIND_CHUNK = 1;

/** Returns a frame with room for a piece of so many bytes, to be filled in. */
export function chunkFrame(transfer: number, offset: number, bytes: number): { frame: Buffer; piece: Buffer } {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  frame.writeUInt8(KIND_CHUNK, 0);
  frame.writeUInt32BE(transfer, 1);
  frame.writeBigUInt64BE(BigInt(offset), 5);
  return { frame, piece: frame.subarray(HEADER_BYTES) };
}

/** Returns undefined for anything `chunkFrame` could not have made. The bytes are a view of the frame. */
export function decodeChunk(frame: Buffer): Chunk | undefined {
  const length = frame.length - HEADER_BYTES;
  if (length < 1 || length > CHUNK_BYTES || frame.readUInt8(0) !== KIND_CHUNK) return undefined;
  const transfer = frame.readUInt32BE(1);
  const offset = frame.readBigUInt64BE(5);
  if (transfer === 0 || offset + BigInt(length) > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return { transfer, offset: Number(offset), bytes: frame.subarray(HEADER_BYTES) };
}

/** Gives the memory of a chunk back at once, unless other bytes that arrived with it may lie there too. */
export function freeChunk(bytes: Uint8Array): void {
  const { buffer, byteOffset, byteLength } = bytes;
  if (byteOffset === HEADER_BYTES && byteOffset + byteLength === buffer.byteLength) freeBuffer(bytes);
}
