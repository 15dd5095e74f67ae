import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../lib/errors';

export type FilesError = { code: 'files/exists'; path: string };

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
