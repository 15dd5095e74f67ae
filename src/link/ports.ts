import type { Readable } from 'node:stream';
import type { Address, Sha256 } from '../domain/ids';

/** The account that proves who we are; `chain/wallet.ts` is one. */
export interface LinkWallet {
  readonly address: Address;
  /** EIP-712 over domain {name, version '1', chainId}. */
  signTyped(domain: string, types: TypedFields, value: object): Promise<string>;
}

export type TypedFields = Record<string, { name: string; type: string }[]>;

/** Who signed; undefined for a signature that is none. */
export type RecoverTyped = (
  chainId: number,
  domain: string,
  types: TypedFields,
  value: object,
  signature: string,
) => Address | undefined;

/** Where blobs come from and go to; `blobs/blob-store.ts` is one. */
export interface LinkBlobs {
  stat(sha256: Sha256): Promise<{ bytes: number } | undefined>;
  /** The blob's bytes from `offset` on. */
  openRead(sha256: Sha256, offset: number): Readable | Promise<Readable>;
  /** The unfinished file of a blob on its way in. One opener at a time. */
  openPart(sha256: Sha256): Promise<IncomingBlob>;
}

export interface IncomingBlob {
  /** Bytes already there: where a cut transfer goes on. */
  readonly offset: number;
  append(chunk: Uint8Array): Promise<void>;
  /** Checks the hash and makes the part a blob. Throws `blobs/hash-mismatch`, and drops the bytes, when it is another. */
  finish(): Promise<unknown>;
  /** Drops what is there; `offset` is 0 again. */
  discard(): Promise<void>;
  /** Lets go of the file; what is there stays for the next opener. */
  close(): Promise<void>;
}

export interface PullOptions {
  signal?: AbortSignal | undefined;
  /** Bytes on our disk so far. */
  onProgress?: ((bytes: number) => void) | undefined;
}
