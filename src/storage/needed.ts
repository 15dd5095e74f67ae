/** Which blobs the open jobs of the chain need, as far as they can be found out. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import { Sha256 } from '../domain/ids';
import type { StorageNeeds } from '../store/storage-needs';
import { readStoredList } from './stored-list';
import { readStoredResult } from './stored-manifest';

export interface NeededDeps {
  needs: Pick<StorageNeeds, 'openNames' | 'ownNames'>;
  blobs: Pick<StoredBlobs, 'stat' | 'openRead'>;
}

/** How a manifest names the file list of its base. */
const LIST = /"list":"([0-9a-f]{64})"/g;

/**
 * Returns the blobs of all open jobs, and of those that have changed since a time: data sets, bases,
 * manifests of submitted results, and what these name.
 */
export async function neededNames({ needs, blobs }: NeededDeps, changedSinceMs?: number): Promise<Set<Sha256>> {
  const { names, lists, manifests } = await needs.openNames(changedSinceMs);
  const needed = new Set([...names, ...manifests]);
  const bases = new Set(lists);
  for (const manifest of manifests) {
    const text = (await readStoredResult(blobs, manifest))?.toString('latin1') ?? '';
    // Whatever the format: what looks like a name in a submitted result is kept until its verdict.
    for (const [name] of text.matchAll(/\b[0-9a-f]{64}\b/g)) needed.add(Sha256.parse(name));
    for (const [, list] of text.matchAll(LIST)) bases.add(Sha256.parse(list));
  }
  for (const list of bases) for (const name of [list, ...(await readStoredList(blobs, list))]) needed.add(name);
  return needed;
}
