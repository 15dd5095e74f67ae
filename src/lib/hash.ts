/** sha256 of text, bytes and files, and JSON in the one form that is hashed. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { freeBuffer } from './free-buffer';
import { takePieces } from './take-pieces';

/** sha256 of bytes or text, 64 lower-case hex digits. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** sha256 of a file, read as a stream; `onProgress` is told how many of its bytes have been read. */
export async function sha256File(path: string, onProgress?: (bytes: number) => void): Promise<string> {
  const stream = createReadStream(path, { highWaterMark: 1 << 20 });
  if (onProgress) stream.on('data', () => onProgress(stream.bytesRead));
  return sha256Stream(stream);
}

/** sha256 of all that a stream has. */
export async function sha256Stream(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(stream, hash);
  return hash.digest('hex');
}

/**
 * sha256 of a name and, behind it, bytes: whoever knows it for a name of its own has had all the bytes. The
 * name is hex, with or without `0x`.
 */
export async function sha256Behind(name: string, bytes: Readable): Promise<string> {
  const hash = createHash('sha256').update(Buffer.from(name.replace(/^0x/, ''), 'hex'));
  await takePieces(bytes, async (piece) => {
    hash.update(piece);
    freeBuffer(piece);
  });
  return hash.digest('hex');
}

/**
 * JSON with sorted keys and no spaces, so that equal values give equal bytes (and hashes). Numbers, strings,
 * booleans, null, arrays and plain objects only; `undefined` members are left out.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}
