/** Opens the bases of submitted jobs for whoever repeats these. */
import type { BaseCache, HeldBase } from '../blobs/base-cache';
import type { BlobStore } from '../blobs/blob-store';
import type { BlobSource } from '../blobs/located-blobs';
import type { BaseRecord } from '../protocol/base';

interface BaseParts {
  bases: BaseCache;
  blobs: BlobStore;
  /** The storages of the job. */
  storage: Pick<BlobSource, 'download'>;
  signal: AbortSignal;
}

/** Returns the base that a manifest names, of which every file has the hash in its list. Throws `base/…`. */
export function openNamedBase(
  { list, size }: BaseRecord,
  { bases, blobs, storage, signal }: BaseParts,
): Promise<HeldBase> {
  const wanted = { list, bytes: size.baseBytes };
  return bases.open(wanted, (sha256, maxBytes) => storage.download(sha256, blobs, maxBytes, { signal }));
}
