/** A hub's base for those who check or repeat a job: its list must name the very files of the commit. */
import type { Sha256 } from '../domain/ids';
import type { ListedFile } from '../protocol/file-list';
import { baseError } from './base-errors';
import { findAtHub, requireBaseReference } from './base-source';
import type { BlobStore } from './blob-store';
import type { HubPlace } from './hub';

/** The base of a plan or a manifest. */
interface PinnedBase {
  readonly reference: string;
  readonly commit?: string | undefined;
}

/**
 * Returns what fetches the files of a hub's base by their hashes into a store. Small files are fetched at
 * once: the hub lists no sha256 for them, and a base that is here already may have been somebody else's
 * list. Throws `base/other-files` where the list is not that of the repository at its commit: whoever made
 * it would have had another base trained.
 */
export async function openPinnedBase(
  { reference, commit }: PinnedBase,
  listed: readonly ListedFile[],
  { hub, into, signal }: { hub: HubPlace; into: BlobStore; signal?: AbortSignal },
): Promise<(sha256: Sha256) => Promise<unknown>> {
  const parsed = requireBaseReference(reference);
  if (parsed.kind !== 'hub' || commit === undefined) throw new Error(`${reference} names no commit of a hub`);
  const found = await findAtHub(
    { ...parsed, revision: commit },
    { hub, maxBytes: Number.MAX_SAFE_INTEGER },
    { signal },
  );
  const names = (files: readonly { name: string }[]) => files.map(({ name }) => name).sort();
  if (names(found.files).join() !== names(listed).join()) throw otherFiles(found.base, 'names other files');
  const unnamed: Sha256[] = [];
  for (const { name, bytes, sha256 } of listed) {
    const there = found.files.find((file) => file.name === name);
    if (there?.bytes !== bytes || (there.sha256 ?? sha256) !== sha256)
      throw otherFiles(found.base, `names another ${name}`);
    if (there.sha256 === undefined) unnamed.push(sha256);
  }
  const fetch = async (sha256: Sha256) => {
    const file = listed.find((one) => one.sha256 === sha256);
    if (!file) throw new Error(`The base ${found.base} has no file ${sha256}`);
    const fetched = await found.download(file.name, into, { signal });
    if (fetched.sha256 !== sha256) throw otherFiles(found.base, `names another ${file.name}`);
  };
  for (const sha256 of unnamed) await fetch(sha256);
  return fetch;
}

function otherFiles(base: string, what: string) {
  return baseError('base/other-files', base, `has a list that ${what} than the hub does.`);
}
