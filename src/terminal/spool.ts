/** Files that can be read only once, such as pipes, made files that can be read again. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../lib/errors';
import { type FilesError, unreadableFile } from './files';

/** A file whose content stays the same while it is held. */
export interface HeldFile extends AsyncDisposable {
  readonly path: string;
}

/** Names under which a shell offers a process its standard input. */
const STDIN = ['-', '/dev/stdin', '/dev/fd/0', '/proc/self/fd/0'];

/**
 * Returns the file that an option names. A pipe is read once into a temporary file, which goes when the
 * returned one is disposed of. Throws `usage/unreadable-file`, `usage/no-file` for a terminal or device, and
 * the signal's reason when it aborts before the pipe ends.
 */
export async function holdFile(option: string, path: string, signal?: AbortSignal): Promise<HeldFile> {
  if (path === '-') return spool(option, path, signal);
  const found = await stat(path).catch((cause) => {
    throw unreadableFile(option, path, cause);
  });
  if (found.isFIFO() || found.isSocket()) return spool(option, path, signal);
  if (found.isFile() || found.isDirectory()) return { path, async [Symbol.asyncDispose]() {} };
  throw notAFile(option, path);
}

async function spool(option: string, path: string, signal: AbortSignal | undefined): Promise<HeldFile> {
  // A socket as standard input, which a parent process may have set up, cannot be opened by its name.
  const isStdin = STDIN.includes(path);
  if (isStdin && process.stdin.isTTY) throw notAFile(option, path);
  const dir = await mkdtemp(join(tmpdir(), 'emeth-pipe-'));
  const held = {
    path: join(dir, 'data'),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
  try {
    const source = isStdin ? process.stdin : createReadStream(path);
    await pipeline(source, createWriteStream(held.path, { mode: 0o600 }), signal ? { signal } : {});
    return held;
  } catch (cause) {
    await held[Symbol.asyncDispose]();
    signal?.throwIfAborted();
    throw unreadableFile(option, path, cause);
  }
}

function notAFile(option: string, path: string): AppError<FilesError> {
  return new AppError(
    { code: 'usage/no-file', path },
    `${path} (${option}) is neither a file nor a pipe; name a file, or pipe the data in.`,
  );
}
