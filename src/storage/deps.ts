/** What the storage API needs of the blobs, the accounts and the chain around it. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import type { Address, Sha256 } from '../domain/ids';
import type { ClientAddress } from '../http/client-address';
import type { ReadDeps } from './readers';
import type { StorageSpace } from './space';
import type { StatementDeps } from './statements';

export interface StorageDeps extends StatementDeps, ReadDeps {
  blobs: StoredBlobs;
  /** Returns the signer of an upload, or undefined for an invalid signature. */
  recoverUpload(
    upload: { owner: Address; blob: string; bytes: number; expiresAtMs: number },
    signature: string,
  ): Address | undefined;
  /** Who may upload how much, and the index of what is here. */
  space: Pick<StorageSpace, 'begin' | 'require' | 'requireAccount' | 'noteWritten' | 'noteFinished' | 'noteDropped'>;
  /** Notes that an account has shown that it has a blob. */
  addHolder(sha256: Sha256, account: Address): Promise<void>;
  clientAddress: ClientAddress;
}

export interface StorageOptions {
  maxUploadBytes: number;
  /** Where everybody reaches these routes. */
  url: string;
}
