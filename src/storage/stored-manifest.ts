/** Manifests among a storage's own blobs. What they say has been checked by nobody. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import type { Sha256 } from '../domain/ids';
import { parseJson } from '../lib/parse-json';
import { MAX_MANIFEST_BYTES, Manifest } from '../protocol/manifest';

type ReadableBlobs = Pick<StoredBlobs, 'stat' | 'openRead'>;

/** Returns the bytes of a stored result; undefined for one that is not here, or too large for a manifest. */
export async function readStoredResult(blobs: ReadableBlobs, sha256: Sha256): Promise<Buffer | undefined> {
  const found = await blobs.stat(sha256);
  if (!found || found.bytes > MAX_MANIFEST_BYTES) return undefined;
  return Buffer.concat(await (await blobs.openRead(sha256)).toArray());
}

/** Returns a stored manifest; undefined for one that is not here, and for what is no manifest. */
export async function readStoredManifest(blobs: ReadableBlobs, sha256: Sha256): Promise<Manifest | undefined> {
  const bytes = await readStoredResult(blobs, sha256);
  return bytes && Manifest.safeParse(parseJson(bytes.toString('utf8'))).data;
}
