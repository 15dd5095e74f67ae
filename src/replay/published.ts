/** Which blobs a result consists of: what its node publishes, and what others need to repeat the job. */
import type { Sha256 } from '../domain/ids';
import type { ManifestIn } from '../protocol/manifest';

/** Returns the model's files and the updates: without the updates nobody could repeat the job. */
export function publishedBlobs({ model, rounds }: Pick<ManifestIn, 'model' | 'rounds'>): Sha256[] {
  const updates = rounds.flatMap(({ leases }) => leases.map(({ update }) => update as Sha256));
  return [...new Set([...model.map(({ sha256 }) => sha256 as Sha256), ...updates])];
}
