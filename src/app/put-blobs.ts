/** Uploads files of this machine to storages, from where they lie, with progress for each. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { UploadSource } from '../blobs/remote-blobs';
import type { Sha256 } from '../domain/ids';
import { AppError } from '../lib/errors';
import { STORAGE_DOMAIN, uploadTypes } from '../protocol/storage';
import { openProgress } from '../terminal/print';
import type { Account } from './account';
import { withEachStorage } from './publish';
import type { StorageClientError } from './storage';

/** A blob to upload: the text itself, or a file that must not have changed since it was hashed. */
export type PutBlob = { readonly name: string; readonly sha256: Sha256; readonly bytes: number } & (
  | { readonly text: string }
  | { readonly path: string; readonly changedAtMs: number }
);

const READ_BYTES = 256 * 1024;

/** What came of it. */
export interface PutResult {
  /** The storages that have all of it. */
  storages: string[];
  /** The blobs of which some byte was sent. */
  sent: ReadonlySet<Sha256>;
}

/**
 * Uploads blobs in their order. A storage that has one already is sent nothing of it. Throws
 * `usage/changed-file`, and what the first storage says if none takes everything.
 */
export async function putBlobs(
  blobs: readonly PutBlob[],
  storages: readonly string[],
  { wallet, logger, signal }: Pick<Account, 'wallet' | 'logger' | 'signal'>,
): Promise<PutResult> {
  const sign = (upload: object) => wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
  const sent = new Set<Sha256>();
  const done = await withEachStorage(
    storages,
    async (remote) => {
      for (const [i, blob] of blobs.entries()) {
        const progress = openProgress(`${i + 1} of ${blobs.length}  ${blob.name}`);
        const onProgress = (sentBytes: number, bytes: number) => {
          sent.add(blob.sha256);
          progress.update(sentBytes, bytes);
        };
        try {
          await remote.upload(blob.sha256, sourceOf(blob), wallet.address, sign, { signal, onProgress });
        } catch (error) {
          await requireUnchanged(blob);
          throw error;
        } finally {
          progress.end();
        }
      }
    },
    { logger, signal },
  );
  return { storages: done, sent };
}

function sourceOf(blob: PutBlob): UploadSource {
  return {
    stat: async () => ({ bytes: blob.bytes }),
    openRead(_sha256, offset = 0, bytes = blob.bytes - offset) {
      const end = offset + bytes;
      if ('path' in blob)
        return createReadStream(blob.path, { start: offset, end: end - 1, highWaterMark: READ_BYTES });
      return Readable.from([Buffer.from(blob.text).subarray(offset, end)]);
    },
  };
}

/** The hash of a file that somebody has written to meanwhile is another one: the storage refuses it. */
async function requireUnchanged(blob: PutBlob): Promise<void> {
  if (!('path' in blob)) return;
  const found = await stat(blob.path).catch(() => undefined);
  if (found?.size === blob.bytes && found.mtimeMs === blob.changedAtMs) return;
  throw new AppError<StorageClientError>(
    { code: 'usage/changed-file', path: blob.path },
    `${blob.path} was changed while it was being uploaded; run the command again once it is complete.`,
  );
}
