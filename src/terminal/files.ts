/** Files that a command is given or creates. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { decodeText } from '../lib/decode-text';
import { AppError } from '../lib/errors';

export type FilesError =
  | { code: 'files/exists'; path: string }
  | { code: 'usage/unreadable-file'; path: string }
  | { code: 'usage/no-file'; path: string }
  | { code: 'usage/bad-file'; path: string; problems: string[] };

const remedies: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; correct its path',
  EISDIR: 'it is a directory; name one file',
  EACCES: 'permission denied; let this account read it',
};

/**
 * Creates private files (mode 0600), all or none. Throws `files/exists` rather than touch one that exists.
 */
export async function createFiles(files: readonly { path: string; text: string }[]): Promise<void> {
  const written: string[] = [];
  for (const { path, text } of files) {
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text, { mode: 0o600, flag: 'wx' });
      written.push(path);
    } catch (cause) {
      for (const own of written) await rm(own, { force: true });
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
      throw existsAlready(path);
    }
  }
}

/** Throws `files/exists` when one of these exists: before work that would be in vain. */
export function requireAbsent(paths: readonly string[]): void {
  for (const path of paths) if (existsSync(path)) throw existsAlready(path);
}

/** Without a cause, which would say the same in the operating system's words. */
function existsAlready(path: string): AppError<FilesError> {
  return new AppError<FilesError>(
    { code: 'files/exists', path },
    `${path} exists already and is left as it is; move it away or name another file.`,
  );
}

/** Reads a file that an option names. Throws `usage/unreadable-file`. */
export async function readGiven(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unreadableFile(option, path, cause);
  }
}

/** Returns the error for a file that an option names: why it cannot be read, and what to do. */
export function unreadableFile(option: string, path: string, cause: unknown): AppError<FilesError> {
  const code = String((cause as NodeJS.ErrnoException).code);
  return new AppError<FilesError>(
    { code: 'usage/unreadable-file', path },
    `${path} (${option}) cannot be read: ${remedies[code] ?? code}.`,
    { cause },
  );
}

/** As `readGiven`, for a file of text. Throws `usage/bad-file` for one that is not UTF-8. */
export async function readGivenText(option: string, path: string): Promise<string> {
  return decode(option, path, await readGiven(option, path));
}

function decode(option: string, path: string, bytes: Buffer): string {
  const { text, problem } = decodeText(bytes);
  if (text !== undefined) return text;
  throw badFile(option, path, [problem]);
}

/** Parses the JSON object that such a file holds. Throws `usage/bad-file`. */
export function parseObject(option: string, path: string, bytes: Buffer): object {
  const text = decode(option, path, bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badFile(option, path, ['it is not JSON']);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw badFile(option, path, ['it is not one JSON object']);
}

/**
 * Reads and checks a JSON file that an option names. Throws `usage/unreadable-file`, and `usage/bad-file`
 * with all problems.
 */
export async function readJsonFile<S extends z.ZodType>(option: string, path: string, schema: S): Promise<z.output<S>> {
  const given = parseObject(option, path, await readGiven(option, path));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path: [key], message }) => {
    if (key === undefined) return message;
    return `${String(key)} ${String(key) in given ? `is wrong: ${message}` : 'is missing'}`;
  });
  throw badFile(option, path, problems);
}

function badFile(option: string, path: string, problems: string[]): AppError<FilesError> {
  return new AppError(
    { code: 'usage/bad-file', path, problems },
    `${path} (${option}) cannot be used: ${problems.join('; ')}.`,
  );
}
