/** File lists of bases among a storage's own blobs. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import type { Sha256 } from '../domain/ids';
import { parseJson } from '../lib/parse-json';
import { FileList, MAX_FILE_LIST_BYTES } from '../protocol/file-list';

/** Returns the files of a stored list; none for a list that is not here, and for what is no list. */
export async function readStoredList(
  blobs: Pick<StoredBlobs, 'stat' | 'openRead'>,
  list: Sha256,
): Promise<readonly Sha256[]> {
  const found = await blobs.stat(list);
  if (!found || found.bytes > MAX_FILE_LIST_BYTES) return [];
  const bytes = Buffer.concat(await (await blobs.openRead(list)).toArray());
  const { data } = FileList.safeParse(parseJson(bytes.toString('utf8')));
  return data?.files.map(({ sha256 }) => sha256) ?? [];
}
