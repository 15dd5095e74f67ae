/** Checks that a file can be a data set; its reader in Python, which may be missing, looks deeper. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { AppError } from '../lib/errors';
import { unreadableFile } from './files';

export type DataFileError = { code: 'usage/bad-dataset'; dataset: string };

/**
 * Streams a data set that an option names (by `shown`, where its bytes lie in another file) and checks it by
 * the rule of the nodes that train on it: an archive, a compressed or a parquet file, or UTF-8 without NUL,
 * and not empty. They would take no job with other data, and its fee would stay locked until the deadline.
 * Returns whether it is packed. Throws `usage/unreadable-file` and `usage/bad-dataset`.
 */
export async function requireData(option: string, path: string, shown = path): Promise<{ isPacked: boolean }> {
  const found = await look(path).catch((cause) => {
    throw unreadableFile(option, shown, cause);
  });
  if (found.problem === undefined) return { isPacked: found.isPacked };
  throw new AppError<DataFileError>(
    { code: 'usage/bad-dataset', dataset: shown },
    `${shown} (${option}) cannot be trained on: ${found.problem}; give UTF-8 text, JSON, CSV or parquet, or an archive of these.`,
  );
}

async function look(path: string): Promise<{ isPacked: boolean; problem?: string | undefined }> {
  if (isPacked(await readHead(path))) return { isPacked: true };
  return { isPacked: false, problem: await findProblem(path) };
}

/** Bytes of a tar archive's first header. */
const HEAD_BYTES = 512;

async function readHead(path: string): Promise<Buffer> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

/** How gzip, zstd (also a frame that is skipped), zip and parquet begin; bytes as hex digits. */
const PACKED = /^(1f8b|28b52ffd|5.2a4d18|504b0304|504b0506|50415231)/;
const TAR = { at: 257, mark: 'ustar' };

function isPacked(head: Buffer): boolean {
  return PACKED.test(head.toString('hex')) || head.toString('latin1', TAR.at, TAR.at + TAR.mark.length) === TAR.mark;
}

async function findProblem(path: string): Promise<string | undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let before = 0;
  let isBlank = true;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    const nul = chunk.indexOf(0);
    if (nul >= 0) return `byte ${before + nul} is NUL`;
    if (!decodes(() => decoder.decode(chunk, { stream: true }))) return notUtf8(before, chunk.length);
    isBlank &&= isWhiteSpace(chunk);
    before += chunk.length;
  }
  if (!decodes(() => decoder.decode())) return 'it ends within a character of UTF-8';
  return isBlank ? `it holds no text (${before} bytes)` : undefined;
}

function decodes(decode: () => string): boolean {
  try {
    decode();
    return true;
  } catch {
    return false;
  }
}

function notUtf8(before: number, length: number): string {
  return `it is not UTF-8, between byte ${before} and ${before + length}`;
}

/** What Python's `bytes.strip` takes away. */
function isWhiteSpace(chunk: Buffer): boolean {
  return chunk.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}
