/** Checks that a file is text a model can be trained on. */
import { createReadStream } from 'node:fs';
import { AppError } from '../lib/errors';
import { unreadableFile } from './files';

export type TextFileError = { code: 'usage/bad-dataset'; dataset: string };

/**
 * Streams a data set that an option names (by `shown`, where its bytes lie in another file) and checks it by
 * the rule of the nodes that train on it: UTF-8 without NUL, and not empty. They would take no job with other
 * data, and its fee would stay locked until the deadline. Throws `usage/unreadable-file` and
 * `usage/bad-dataset`.
 */
export async function requireText(option: string, path: string, shown = path): Promise<void> {
  const problem = await findProblem(path).catch((cause) => {
    throw unreadableFile(option, shown, cause);
  });
  if (problem === undefined) return;
  throw new AppError<TextFileError>(
    { code: 'usage/bad-dataset', dataset: shown },
    `${shown} (${option}) cannot be trained on: ${problem}; give plain UTF-8 text.`,
  );
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
