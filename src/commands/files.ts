import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { AppError } from '../lib/errors';

export type FilesError = { code: 'files/exists'; path: string } | { code: 'usage/bad-file'; path: string };

/** Creates private files (mode 0600), all or none, and never touches one that exists: throws `files/exists` then. */
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
      // Without the cause: it says the same, in an operating system's words.
      throw new AppError<FilesError>(
        { code: 'files/exists', path },
        `${path} exists already and is left as it is; move it away or name another file.`,
      );
    }
  }
}

/**
 * What a JSON file that was named on the command line holds. Throws `usage/bad-file`, which says what is wrong with it; `remedy` says
 * where a good one comes from.
 */
export async function readJsonFile<S extends z.ZodType>(path: string, schema: S, remedy: string): Promise<z.output<S>> {
  const bad = (problem: string, cause?: unknown) =>
    new AppError<FilesError>({ code: 'usage/bad-file', path }, `${path} cannot be used: ${problem}. ${remedy}`, {
      cause,
    });
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw bad(cause.code === 'ENOENT' ? 'there is no such file' : cause.message, cause);
  });
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw bad('it is not JSON', cause);
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join('.');
  throw bad(`${place ? `${place}: ` : ''}${issue?.message ?? 'it has the wrong form'}`);
}
