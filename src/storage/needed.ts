/** Which blobs the open jobs of the chain need, as far as they can be found out. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import { Sha256 } from '../domain/ids';
import type { StorageNeeds } from '../store/storage-needs';
import { readStoredResult } from './stored-manifest';

export interface NeededDeps {
  needs: Pick<StorageNeeds, 'openNames' | 'ownNames'>;
  blobs: Pick<StoredBlobs, 'stat' | 'openRead'>;
}

/**
 * Returns the blobs of all open jobs, and of those that have changed since a time: data sets, manifests of
 * submitted results, and what these name.
 */
export async function neededNames({ needs, blobs }: NeededDeps, changedSinceMs?: number): Promise<Set<Sha256>> {
  const { names, manifests } = await needs.openNames(changedSinceMs);
  const needed = new Set([...names, ...manifests]);
  for (const manifest of manifests) {
    const text = (await readStoredResult(blobs, manifest))?.toString('latin1') ?? '';
    // Whatever the format: what looks like a name in a submitted result is kept until its verdict.
    for (const [name] of text.matchAll(/\b[0-9a-f]{64}\b/g)) needed.add(Sha256.parse(name));
  }
  return needed;
}
