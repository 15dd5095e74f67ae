/** A directory with a base model, as somebody names it: which of its files are taken, and from where. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type BaseFlaw, pickBaseFiles } from '../domain/base-files';
import { AppError } from '../lib/errors';
import { isWithin } from '../lib/paths';
import { unreadableFile } from './files';

export type BaseDirectoryError =
  | { code: 'usage/outside-link'; path: string; target: string }
  | { code: 'usage/empty-file'; path: string }
  | { code: 'usage/not-a-file'; path: string };

/** A file to take, with what tells whether it has changed. */
export interface GivenFile {
  readonly name: string;
  /** Of the file itself, behind any link. */
  readonly path: string;
  readonly bytes: number;
  readonly changedAtMs: number;
}

export interface GivenDirectory {
  readonly files: readonly GivenFile[];
  /** Names of files and folders that no base has. */
  readonly skipped: readonly string[];
  readonly flaw?: BaseFlaw | undefined;
}

/**
 * Lists what of a directory makes a base. Throws `usage/…` for a file that is empty, no plain file, or a link
 * out of the directory: whoever unpacks a stranger's model must not upload a file of their own by it.
 */
export async function readBaseDirectory(dir: string): Promise<GivenDirectory> {
  const root = await realpath(dir);
  const entries = await readdir(root, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${name}/`);
  const names = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  const sizes = await Promise.all(names.map((name) => stat(join(root, name)).catch(() => undefined)));
  const picked = pickBaseFiles(names.map((name, i) => ({ name, bytes: sizes[i]?.size ?? 0 })));
  const files = await Promise.all(picked.names.map((name) => readGivenFile(root, name)));
  return { files, skipped: [...picked.skipped, ...folders].sort(), flaw: picked.flaw };
}

/** As for a directory, of one file of any kind. Throws `usage/…`. */
export async function readGivenFile(dir: string, name: string): Promise<GivenFile> {
  const link = join(dir, name);
  const path = await realpath(link).catch((cause) => {
    throw unreadableFile('the file', link, cause);
  });
  if (!placesOf(dir).some((place) => isWithin(path, place))) throw outside(link, path);
  const { size: bytes, mtimeMs: changedAtMs, isFile } = await describe(path);
  if (!isFile) throw new AppError<BaseDirectoryError>({ code: 'usage/not-a-file', path: link }, `${link} is no file.`);
  if (bytes > 0) return { name, path, bytes, changedAtMs };
  throw new AppError<BaseDirectoryError>(
    { code: 'usage/empty-file', path: link },
    `${link} is empty; remove it, or fetch the model again.`,
  );
}

async function describe(path: string) {
  const found = await stat(path);
  return { size: found.size, mtimeMs: found.mtimeMs, isFile: found.isFile() };
}

/** In the cache of Hugging Face's tools, the files of a snapshot are links into the folder of its blobs. */
function placesOf(dir: string): string[] {
  const parent = dirname(dir);
  return basename(parent) === 'snapshots' ? [dir, join(dirname(parent), 'blobs')] : [dir];
}

function outside(path: string, target: string): AppError<BaseDirectoryError> {
  return new AppError(
    { code: 'usage/outside-link', path, target },
    `${path} is a link to ${target}, outside the directory; put a copy of the file in its place if it belongs to the model.`,
  );
}
