/** Opens the bases of submitted jobs for whoever repeats these: from storages, or from the hub they name. */
import type { BaseCache, HeldBase } from '../blobs/base-cache';
import { openFileList } from '../blobs/base-dir';
import { baseError } from '../blobs/base-errors';
import type { BlobStore } from '../blobs/blob-store';
import type { HubPlace } from '../blobs/hub';
import type { BlobSource } from '../blobs/located-blobs';
import { openPinnedBase } from '../blobs/pinned-base';
import type { Sha256 } from '../domain/ids';
import type { BaseRecord } from '../protocol/base';

interface BaseParts {
  bases: BaseCache;
  blobs: BlobStore;
  /** The storages of the job. */
  storage: Pick<BlobSource, 'download'>;
  hub: HubPlace;
  signal: AbortSignal;
}

type FetchBlob = (sha256: Sha256, maxBytes: number) => Promise<unknown>;

/**
 * Returns the base that a manifest names, of which every file has the hash in its list. Throws `base/…`: also
 * `base/other-files` where a hub has other files at that commit than the list says, or the list other bytes
 * than the manifest.
 */
export async function openNamedBase(base: BaseRecord, parts: BaseParts): Promise<HeldBase> {
  const { bases, blobs, storage, hub, signal } = parts;
  const { reference, list, commit, size } = base;
  const fromStorage: FetchBlob = (sha256, maxBytes) => storage.download(sha256, blobs, maxBytes, { signal });
  const { files, bytes } = await openFileList(list, { blobs, fetch: fromStorage });
  // Whoever says another size could have it look too large for those who check the job.
  if (bytes !== size.baseBytes)
    throw baseError('base/other-files', reference, `has ${bytes} bytes by its list, not ${size.baseBytes}.`);
  const wanted = { list, bytes };
  if (commit === undefined) return bases.open(wanted, fromStorage);
  const fromHub = await openPinnedBase(base, files, { hub, into: blobs, signal });
  return bases.open(wanted, fromHub);
}
