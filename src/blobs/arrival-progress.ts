/** What a bucket keeps of an upload that is not complete: enough for any storage over it to go on. */
import { z } from 'zod';
import { parseJson } from '../lib/parse-json';

/**
 * The hash of all bytes so far is kept as its inner state, since nobody can read the parts of an upload
 * before it is complete.
 */
export interface ArrivalProgress {
  uploadId?: string | undefined;
  /** Tags of the parts that S3 has, in order. */
  tags: readonly string[];
  hashState: Uint8Array;
  /** The bytes behind the last part. */
  tail: Uint8Array;
}

const Header = z.object({
  version: z.literal(1),
  uploadId: z.string().min(1).optional(),
  tags: z.array(z.string()),
  hashState: z.base64(),
});

/** Returns a line of JSON, and the tail behind it. */
export function encodeProgress({ uploadId, tags, hashState, tail }: ArrivalProgress): Buffer {
  const header = { version: 1, uploadId, tags, hashState: Buffer.from(hashState).toString('base64') };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), tail]);
}

/** Returns undefined for what another version wrote, or something else. */
export function decodeProgress(bytes: Buffer): ArrivalProgress | undefined {
  const end = bytes.indexOf('\n');
  const header = Header.safeParse(parseJson(bytes.toString('utf8', 0, Math.max(0, end))));
  if (!header.success) return undefined;
  const { uploadId, tags, hashState } = header.data;
  return { uploadId, tags, hashState: Buffer.from(hashState, 'base64'), tail: bytes.subarray(end + 1) };
}
