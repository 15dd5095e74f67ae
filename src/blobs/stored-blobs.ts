/** What a storage API needs of the place where its blobs lie: files of this machine, or a service. */
import type { Readable } from 'node:stream';
import type { Sha256 } from '../domain/ids';
import type { BlobPart, FoundBlob } from './blob-store';

/**
 * Blobs named by their sha256, and parts that are still arriving: `BlobStore` on local files, `S3Blobs` in a
 * bucket.
 */
export interface StoredBlobs {
  stat(sha256: Sha256): Promise<{ bytes: number } | undefined>;
  /** Returns the size of a blob's part, without creating or locking it. */
  partBytes(sha256: Sha256): Promise<number>;
  /** Whether there is a part with so many bytes to go on with, as far as is known without asking anybody. */
  expects(sha256: Sha256, offset: number): boolean;
  /**
   * Reads a blob from `offset` to its end, or at most `bytes` of it, into memory that its reader may give
   * back.
   */
  openRead(sha256: Sha256, offset?: number, bytes?: number): Readable | Promise<Readable>;
  /**
   * Opens a blob's part to append to it. Throws `blobs/busy` while another opener has it. What its sender
   * takes for the offset lets a store notice that another storage went on with the part.
   */
  openPart(sha256: Sha256, senderOffset?: number): Promise<BlobPart>;
  /** Removes a blob, and its part unless that is open. */
  remove(sha256: Sha256): Promise<void>;
  /** Lists every blob and every part that is there, in any order. */
  list(): AsyncIterable<FoundBlob>;
}
