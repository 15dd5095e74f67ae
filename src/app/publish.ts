/** Puts blobs into every storage of a list: while one of them is away, the others have what is needed. */
import type { BlobStore } from '../blobs/blob-store';
import { RemoteBlobs } from '../blobs/remote-blobs';
import type { Wallet } from '../chain/sending/wallet';
import type { Sha256 } from '../domain/ids';
import type { Logger } from '../lib/logger';
import { STORAGE_DOMAIN, uploadTypes } from '../protocol/storage';

interface PublishDeps {
  blobs: BlobStore;
  wallet: Wallet;
  logger: Logger;
}

/**
 * Uploads blobs to each storage at once, as an account that may. Throws the first failure only when no
 * storage took everything; the others' failures are logged.
 */
export async function publish(
  names: readonly Sha256[],
  storages: readonly string[],
  { blobs, wallet, logger }: PublishDeps,
  signal: AbortSignal,
): Promise<void> {
  const sign = (upload: object) => wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
  await withEachStorage(
    storages,
    async (remote) => {
      for (const name of names) await remote.upload(name, blobs, wallet.address, sign, { signal });
    },
    { logger, signal },
  );
}

/** Does `work` with each storage at once, under the same rule, and returns those with which it was done. */
export async function withEachStorage(
  storages: readonly string[],
  work: (remote: RemoteBlobs) => Promise<void>,
  { logger, signal }: { logger: Logger; signal: AbortSignal },
): Promise<string[]> {
  const outcomes = await Promise.allSettled(storages.map((storage) => work(new RemoteBlobs(storage))));
  signal.throwIfAborted();
  const done = storages.filter((_, i) => outcomes[i]?.status === 'fulfilled');
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') continue;
    if (done.length === 0) throw outcome.reason;
    logger.warn('A storage does not take what the others have', { storageApi: storages[i] }, outcome.reason);
  }
  return done;
}
