/** Which blobs the open jobs of the chain need, as far as they can be found out. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import { Sha256 } from '../domain/ids';
import type { StorageNeeds } from '../store/storage-needs';

export interface NeededDeps {
  needs: Pick<StorageNeeds, 'openNames' | 'ownNames'>;
  blobs: Pick<StoredBlobs, 'stat' | 'openRead'>;
}

/** A manifest of a year's training has some MB; what is larger is not one. */
const MAX_MANIFEST_BYTES = 64 * 2 ** 20;

/**
 * Returns the blobs of all open jobs, and of those that have changed since a time: data sets, manifests of
 * submitted results, and what these name.
 */
export async function neededNames({ needs, blobs }: NeededDeps, changedSinceMs?: number): Promise<Set<Sha256>> {
  const { names, manifests } = await needs.openNames(changedSinceMs);
  const needed = new Set([...names, ...manifests]);
  for (const manifest of manifests) {
    const found = await blobs.stat(manifest);
    if (!found || found.bytes > MAX_MANIFEST_BYTES) continue;
    const text = Buffer.concat(await (await blobs.openRead(manifest)).toArray()).toString('latin1');
    // Whatever the format: what looks like a name in a submitted result is kept until its verdict.
    for (const [name] of text.matchAll(/\b[0-9a-f]{64}\b/g)) needed.add(Sha256.parse(name));
  }
  return needed;
}
