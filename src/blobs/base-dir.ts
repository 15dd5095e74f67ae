/** Base models as directories, shared by all jobs: made of blobs by their list, whole or not at all. */
import { constants } from 'node:fs';
import { chmod, copyFile, link, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { isBaseFile } from '../domain/base-files';
import { Sha256 } from '../domain/ids';
import { errorCode } from '../lib/errors';
import { canonicalJson } from '../lib/hash';
import { parseJson } from '../lib/parse-json';
import { FileList, type ListedFile, MAX_FILE_LIST_BYTES } from '../protocol/file-list';
import { baseError } from './base-errors';
import type { BlobStore } from './blob-store';

/** A base on this machine. */
export interface BaseDirectory {
  readonly path: string;
  readonly files: readonly ListedFile[];
  /** Of all files together. */
  readonly bytes: number;
}

export interface BaseDirParts {
  /** Where all base directories lie: `<dataDir>/bases`. */
  readonly root: string;
  readonly blobs: Pick<BlobStore, 'path' | 'stat'>;
  /** Brings a blob of at most so many bytes into `blobs`, checked; called for those that are not there. */
  fetch(sha256: Sha256, maxBytes: number): Promise<unknown>;
  /** A base with more bytes is refused before any of its files is fetched. */
  readonly maxBytes: number;
}

/** A directory that was opened so recently may be of a job whose plan is not stored yet. */
const RECENT_MS = 3600_000;
/** Directories that are being made, each with the end of that. */
const making = new Map<string, Promise<BaseDirectory>>();

/** Where the base with this list lies, if it is here. */
export function baseDirPath(root: string, list: Sha256): string {
  return join(root, list);
}

/**
 * Returns the directory of a base, and makes it if it is not here: fetches list and files, checks that they
 * are what the list says, and links them. Two at once are one. Throws `base/bad-list`, `base/too-large` and
 * what `fetch` throws.
 */
export async function openBaseDir(list: Sha256, parts: BaseDirParts): Promise<BaseDirectory> {
  const path = baseDirPath(parts.root, list);
  for (let other = making.get(path); other; other = making.get(path)) {
    const made = await other.catch(() => undefined);
    if (made) return made;
  }
  const work = make(list, path, parts).finally(() => making.delete(path));
  making.set(path, work);
  return work;
}

/** Fetches and parses the list of a base. Throws `base/bad-list` for anything else of that name. */
export async function openFileList(
  list: Sha256,
  { blobs, fetch }: Pick<BaseDirParts, 'blobs' | 'fetch'>,
): Promise<{ files: readonly ListedFile[]; bytes: number }> {
  if (!(await blobs.stat(list))) await fetch(list, MAX_FILE_LIST_BYTES);
  const found = await blobs.stat(list);
  if (!found || found.bytes > MAX_FILE_LIST_BYTES) throw badList(list, 'it is too long for a list');
  return parseFileList(list, await readFile(blobs.path(list), 'utf8'));
}

/** Parses the text of a list; only files that a base may have can be in it. Throws `base/bad-list`. */
export function parseFileList(list: string, text: string): { files: readonly ListedFile[]; bytes: number } {
  const { data, error } = FileList.safeParse(parseJson(text));
  if (!data) {
    const [issue] = error.issues;
    throw badList(list, `${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'not readable'}`);
  }
  if (canonicalJson(data) !== text) throw badList(list, 'it is not canonical JSON (sorted keys, no spaces)');
  const stray = data.files.find((file) => !isBaseFile(file));
  if (stray) throw badList(list, `a base has no file ${stray.name} of ${stray.bytes} bytes`);
  return { files: data.files, bytes: sumBytes(data.files) };
}

/** Returns the text of the list of these files, whose hash names them together. */
export function printFileList(files: readonly ListedFile[]): string {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  return canonicalJson(FileList.parse({ format: 'emeth-directory-1', files: sorted }));
}

/**
 * Removes the base directories that `isKept` does not want and nobody has opened for a while, and what
 * crashes left of others. Returns their lists.
 */
export async function removeBaseDirs(
  root: string,
  isKept: (list: Sha256) => boolean | Promise<boolean>,
): Promise<Sha256[]> {
  const busy = new Set([...making.keys()].flatMap((path) => [path, unfinished(path)]));
  const removed: Sha256[] = [];
  for (const name of await readdir(root).catch(() => [])) {
    const path = join(root, name);
    const list = Sha256.safeParse(name).data;
    const openedAtMs = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
    const isRecent = Date.now() - openedAtMs < RECENT_MS;
    if (busy.has(path) || isRecent || (list !== undefined && (await isKept(list)))) continue;
    await removeDir(path);
    if (list !== undefined) removed.push(list);
  }
  return removed;
}

async function make(list: Sha256, path: string, parts: BaseDirParts): Promise<BaseDirectory> {
  const { files, bytes } = await openFileList(list, parts);
  if (bytes > parts.maxBytes) throw tooLargeBase(list, bytes, parts.maxBytes);
  const made = { path, files, bytes };
  if (await isWhole(path, files)) {
    await utimes(path, new Date(), new Date()).catch(() => undefined);
    return made;
  }
  for (const { name, sha256, bytes: size } of files) {
    if (!(await parts.blobs.stat(sha256))) await parts.fetch(sha256, size);
    if ((await parts.blobs.stat(sha256))?.bytes !== size) throw badList(list, `${name} has not ${size} bytes`);
  }
  await removeDir(path);
  await linkAll(unfinished(path), files, parts.blobs);
  await rename(unfinished(path), path);
  await syncAt(parts.root);
  return made;
}

/** A directory appears under its name when it is complete; what is in it cannot be written to. */
async function linkAll(dir: string, files: readonly ListedFile[], blobs: BaseDirParts['blobs']): Promise<void> {
  await removeDir(dir);
  await mkdir(dir, { recursive: true });
  for (const { name, sha256 } of files) {
    const from = blobs.path(sha256);
    const to = join(dir, name);
    await link(from, to).catch(async (error) => {
      if (!['EXDEV', 'EPERM', 'ENOTSUP', 'EMLINK'].includes(errorCode(error))) throw error;
      await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      await syncAt(to);
    });
    await chmod(to, 0o444);
  }
  await syncAt(dir);
}

async function isWhole(path: string, files: readonly ListedFile[]): Promise<boolean> {
  const found = await Promise.all(files.map(({ name }) => stat(join(path, name)).catch(() => undefined)));
  return found.every((one, i) => one?.isFile() === true && one.size === files[i]?.bytes);
}

/** Behind a dot, so that it is no list's name. */
function unfinished(path: string): string {
  return `${path}.making`;
}

async function removeDir(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

async function syncAt(path: string): Promise<void> {
  await using file = await open(path, 'r');
  await file.sync();
}

function sumBytes(files: readonly ListedFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

function badList(list: string, reason: string) {
  return baseError(
    'base/bad-list',
    `sha256:${list}`,
    `has no usable list of files (${reason}); make it with emeth put.`,
  );
}

/** Also used before a list exists. */
export function tooLargeBase(base: string, bytes: number, maxBytes: number) {
  return baseError('base/too-large', base, `has ${bytes} bytes; the limit here is ${maxBytes} (maxBaseBytes).`, {
    bytes,
    maxBytes,
  });
}
