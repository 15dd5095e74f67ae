/** What the storage API needs of the blobs, the accounts and the chain around it. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import type { Address } from '../domain/ids';
import type { ClientAddress } from '../http/client-address';
import type { StorageSpace } from './space';
import type { StatementDeps } from './statements';

export interface StorageDeps extends StatementDeps {
  blobs: StoredBlobs;
  /** Returns the signer of an upload, or undefined for an invalid signature. */
  recoverUpload(
    upload: { owner: Address; blob: string; bytes: number; expiresAtMs: number },
    signature: string,
  ): Address | undefined;
  /** Who may upload how much, and the index of what is here. */
  space: Pick<StorageSpace, 'begin' | 'require' | 'noteWritten' | 'noteFinished' | 'noteDropped'>;
  clientAddress: ClientAddress;
}

export interface StorageOptions {
  maxUploadBytes: number;
}
