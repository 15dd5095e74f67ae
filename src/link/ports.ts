/** What the link needs of its surroundings: a wallet, a signature check and a blob store. */
import type { Address, Sha256 } from '../domain/ids';

/** The account a side proves to own; see `chain/sending/wallet.ts`. */
export interface LinkWallet {
  readonly address: Address;
  /** Signs EIP-712 typed data of the domain {name, version '1', chainId}. */
  signTyped(domain: string, types: TypedFields, value: object): Promise<string>;
}

export type TypedFields = Record<string, { name: string; type: string }[]>;

/** Returns the signer's address, or undefined for an invalid signature. */
export type RecoverTyped = (
  chainId: number,
  domain: string,
  types: TypedFields,
  value: object,
  signature: string,
) => Address | undefined;

/** The blob store of this side; see `blobs/blob-store.ts`. */
export interface LinkBlobs {
  stat(sha256: Sha256): Promise<{ bytes: number } | undefined>;
  openReader(sha256: Sha256): Promise<BlobReader>;
  /** Opens the partial file of an arriving blob. One opener at a time. */
  openPart(sha256: Sha256): Promise<IncomingBlob>;
}

/** An open blob, read piece by piece. */
export interface BlobReader {
  /** Fills `into` with the bytes from `offset` on; returns how many there were. */
  read(into: Uint8Array, offset: number): Promise<number>;
  close(): Promise<void>;
}

/** The partial file of a blob that is being received. */
export interface IncomingBlob {
  /** Bytes already on disk: where an interrupted transfer resumes. */
  readonly offset: number;
  /** Writes pieces one behind the other; they are the caller's again afterwards. */
  append(pieces: readonly Uint8Array[]): Promise<void>;
  /**
   * Turns the part into a blob. Throws `blobs/hash-mismatch`, and drops the bytes, when the hash is wrong.
   */
  finish(): Promise<unknown>;
  /** Drops the bytes; `offset` is 0 again. */
  discard(): Promise<void>;
  /** Releases the file and keeps its bytes for the next opener. */
  close(): Promise<void>;
}

export interface PullOptions {
  signal?: AbortSignal | undefined;
  /** Called with the bytes on disk so far. */
  onProgress?: ((bytes: number) => void) | undefined;
}
