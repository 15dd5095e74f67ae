/** Base models by reference: what one means, and how its files get here, from storages or from a hub. */
import { readFile } from 'node:fs/promises';
import { pickBaseFiles } from '../domain/base-files';
import { type NamedBase, parseBaseReference, pinHubReference } from '../domain/base-reference';
import type { Sha256 } from '../domain/ids';
import { describeError, errorCode } from '../lib/errors';
import { sha256 } from '../lib/hash';
import { type ListedFile, MAX_FILE_LIST_BYTES } from '../protocol/file-list';
import { parseFileList, printFileList, tooLargeBase } from './base-dir';
import { baseError, flawError } from './base-errors';
import type { BaseReader } from './base-facts';
import type { BlobStore } from './blob-store';
import { Hub, type HubFile, type HubPlace } from './hub';
import { type BlobPlaces, openSource } from './located-blobs';
import type { RemoteOptions } from './remote-blobs';

export interface BaseOptions extends BlobPlaces {
  /** Where `hf:` references lead. */
  readonly hub: HubPlace;
  /** A base with more bytes is refused. */
  readonly maxBytes: number;
}

/** A base that was found; of its files nothing is here yet. */
export interface FoundBase extends BaseReader {
  readonly bytes: number;
  /** Of a hub's repository: the commit that the reference means now. */
  readonly commit?: string | undefined;
  /** Of a list in storages. */
  readonly list?: Sha256 | undefined;
  /** Brings a file into a store, checked. Throws `base/…`. */
  download(name: string, into: BlobStore, options?: RemoteOptions): Promise<{ sha256: Sha256; bytes: number }>;
}

/**
 * Finds a base: fetches its list, or asks the hub for it. Throws `base/…` for a reference that is none, a
 * base that is not there or too large, and files of which no base can be made.
 */
export async function findBase(
  reference: string,
  options: BaseOptions,
  remote: RemoteOptions & { lists: BlobStore },
): Promise<FoundBase> {
  const parsed = requireBaseReference(reference);
  if (parsed.kind === 'hub') return findAtHub(parsed, options, remote);
  return requireUsable(await guarded(reference, () => findInStorage(reference, parsed, options, remote)), options);
}

function requireUsable(found: FoundBase, { maxBytes }: Pick<BaseOptions, 'maxBytes'>): FoundBase {
  const { flaw } = pickBaseFiles(found.files);
  if (flaw) throw flawError(flaw, found.base);
  if (found.bytes > maxBytes) throw tooLargeBase(found.base, found.bytes, maxBytes);
  return found;
}

/** Parses a reference. Throws `base/bad-reference`. */
export function requireBaseReference(reference: string): NamedBase {
  const parsed = parseBaseReference(reference);
  if (parsed) return parsed;
  throw baseError(
    'base/bad-reference',
    JSON.stringify(reference.slice(0, 200)),
    'is no reference: write sha256:<64 hex digits>[@<storage>,…], as emeth put prints it, or hf:<org>/<name>[@<revision>].',
  );
}

/** Returns the list of these files as a blob. */
export function listOf(files: readonly ListedFile[]): { sha256: Sha256; text: string } {
  const text = printFileList(files);
  return { sha256: sha256(text) as Sha256, text };
}

async function findInStorage(
  reference: string,
  { sha256: list, locations }: Extract<NamedBase, { kind: 'list' }>,
  options: BaseOptions,
  { lists, ...remote }: RemoteOptions & { lists: BlobStore },
): Promise<FoundBase> {
  const source = openSource(options, locations);
  await source.download(list, lists, MAX_FILE_LIST_BYTES, remote);
  const { files, bytes } = parseFileList(list, await readFile(lists.path(list), 'utf8'));
  const fileOf = (name: string) => requireFile(reference, files, name);
  const { signal, pass } = remote;
  return {
    base: reference,
    list,
    files,
    bytes,
    read: (name, start, length) =>
      guarded(reference, () => source.read(fileOf(name).sha256, start, length, { signal, pass })),
    download: (name, into, more) =>
      guarded(reference, async () => {
        const file = fileOf(name);
        const { bytes: arrived } = await source.download(file.sha256, into, file.bytes, { ...remote, ...more });
        if (arrived !== file.bytes)
          throw baseError('base/bad-list', reference, `has not ${file.bytes} bytes of ${name}.`);
        return { sha256: file.sha256, bytes: arrived };
      }),
  };
}

/** As `findBase`, for a repository of a hub. */
export async function findAtHub(
  reference: Extract<NamedBase, { kind: 'hub' }>,
  options: Pick<BaseOptions, 'hub' | 'maxBytes'>,
  { signal }: RemoteOptions,
): Promise<FoundBase> {
  const hub = new Hub(options.hub);
  const at = await hub.resolve(reference, signal);
  const base = pinHubReference(reference, at.commit);
  const { names, flaw } = pickBaseFiles(at.files.filter(({ bytes }) => bytes > 0));
  if (flaw) throw flawError(flaw, base);
  const files = at.files.filter(({ name }) => names.includes(name));
  const fileOf = (name: string): HubFile => requireFile(base, files, name);
  const found = {
    base,
    commit: at.commit,
    files,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    read: (name: string, start: number, length: number) => hub.read(at, fileOf(name), start, length, signal),
    download: (name: string, into: BlobStore, more?: RemoteOptions) =>
      hub.download(at, fileOf(name), into, { signal, ...more }),
  };
  return requireUsable(found, options);
}

function requireFile<T extends { name: string }>(base: string, files: readonly T[], name: string): T {
  const found = files.find((file) => file.name === name);
  if (found) return found;
  throw baseError('base/bad-weights', base, `has no ${name}.`);
}

/** Runs `work` and turns the errors of storages into `base/…`. */
async function guarded<T>(base: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'blobs/too-large')
      throw baseError('base/bad-list', base, `has more bytes than its list says: ${describeError(error)}`, {
        cause: error,
      });
    if (code === 'blobs/hash-mismatch')
      throw baseError('base/other-bytes', base, 'does not arrive with the hash it is named by.', { cause: error });
    if (!code.startsWith('blobs/') || code === 'blobs/disk-full') throw error;
    throw baseError('base/missing', base, `cannot be fetched: ${describeError(error)}`, { cause: error });
  }
}
