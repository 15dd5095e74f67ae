/** The partial file of an arriving blob: written, hashed and synced at the same time. */
import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Sha256 } from '../domain/ids';
import { AppError, errorCode } from '../lib/errors';
import { FileHash, hashOpenFile, THREADED_BYTES } from '../lib/hash-threads';

export type BlobError =
  | { code: 'blobs/hash-mismatch'; expected: string; actual: string }
  | { code: 'blobs/busy'; sha256: string }
  | { code: 'blobs/disk-full'; path: string };

/** After so many bytes the disk is told to take them: the sync at the end then has little to do. */
const SYNCED_BYTES = 16 * 1024 * 1024;

/** The hash of the first bytes of a part that has `bytes`; it may lack the last ones. */
export interface RunningHash {
  readonly hash: FileHash | undefined;
  readonly bytes: number;
}

/** One opener's part of a blob. Calls are made one after the other. */
export class FilePart {
  /** Follows what is written; made when there is enough of it. */
  private hash: FileHash | undefined;
  private written: number;
  /** Work on the open file beside the writes: each is waited for before the file is closed. */
  private hashing: Promise<unknown> | undefined;
  private syncing: Promise<unknown> | undefined;
  private synced: number;
  /** What a sync failed with: the file tells each failure once. */
  private unsynced: unknown;
  private isOpen = true;
  /** Whether the file has `written` bytes, as the next opener will find. */
  private isSound = true;

  constructor(
    private readonly file: FileHandle,
    private readonly names: { partPath: string; finalPath: string; name: Sha256 },
    start: RunningHash,
    private readonly release: (running?: RunningHash) => void,
  ) {
    this.hash = start.hash;
    this.written = start.bytes;
    this.synced = start.bytes;
    this.follow();
  }

  get offset(): number {
    return this.written;
  }

  async append(bytes: Uint8Array | readonly Uint8Array[]): Promise<void> {
    const pieces = bytes instanceof Uint8Array ? [bytes] : bytes;
    try {
      await this.write(pieces);
    } catch (error) {
      // Some of the bytes may be in the file: it is read anew at its end.
      this.isSound = false;
      await this.forgetHash();
      throw diskError(error, this.names.partPath);
    }
    this.follow();
    this.syncBehind();
  }

  /** Turns the part into a blob. Throws `blobs/hash-mismatch`, and drops the bytes, for a wrong hash. */
  async finish(): Promise<void> {
    const { partPath, finalPath, name } = this.names;
    const hashing = this.digest();
    this.hashing = Promise.allSettled([hashing]);
    await this.file.sync().catch(this.noteUnsynced);
    await this.syncing;
    if (this.unsynced) throw diskError(this.unsynced, partPath);
    const actual = await hashing;
    if (actual !== name) {
      await this.discard();
      throw new AppError<BlobError>(
        { code: 'blobs/hash-mismatch', expected: name, actual },
        `What arrived as blob ${name.slice(0, 12)}… has the hash ${actual.slice(0, 12)}…; it was deleted.`,
      );
    }
    await rename(partPath, finalPath);
    this.isSound = false;
    await syncFile(dirname(finalPath), 'r');
    await this.close();
  }

  /** Drops the bytes; `offset` is 0 again. */
  async discard(): Promise<void> {
    await this.forgetHash();
    await this.file.truncate(0);
    this.written = 0;
    this.synced = 0;
    this.isSound = true;
  }

  /** Releases the file and keeps its bytes for the next opener. */
  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await Promise.all([this.hashing, this.syncing]);
    // What the disk failed to take may be lost, though it still reads as it was written.
    if (this.unsynced) await this.discard().catch(() => undefined);
    const { hash, written: bytes } = this;
    if (!this.isSound) this.dropHash();
    await this.file.close().finally(() => this.release(this.isSound ? { hash, bytes } : undefined));
  }

  private async write(pieces: readonly Uint8Array[]): Promise<void> {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    let { bytesWritten: done } = await this.file.writev(pieces);
    // A disk that is nearly full takes a part of it, and says so at the next write.
    for (const piece of done < bytes ? pieces : []) {
      if (done < piece.length) await this.file.appendFile(piece.subarray(done));
      done = Math.max(0, done - piece.length);
    }
    this.written += bytes;
  }

  /** Has the hash follow what is written, beside further writes. */
  private follow(): void {
    if (this.hashing || this.written < THREADED_BYTES) return;
    this.hash ??= new FileHash();
    const { hash } = this;
    this.hashing = hash.advance(this.file.fd, this.written).then(
      () => {
        this.hashing = undefined;
      },
      () => {
        this.hashing = undefined;
        this.dropHash();
      },
    );
  }

  private async digest(): Promise<string> {
    await this.hashing;
    if (!this.hash) return hashOpenFile(this.file);
    try {
      return await this.hash.digest(this.file.fd);
    } finally {
      this.dropHash();
    }
  }

  private async forgetHash(): Promise<void> {
    await this.hashing;
    this.dropHash();
  }

  private dropHash(): void {
    this.hash?.drop();
    this.hash = undefined;
  }

  private readonly noteUnsynced = (error: unknown) => {
    this.unsynced ??= error;
  };

  /** Has the disk take what is written, beside further writes. */
  private syncBehind(): void {
    if (this.syncing || this.written - this.synced < SYNCED_BYTES) return;
    this.synced = this.written;
    this.syncing = this.file
      .datasync()
      .catch(this.noteUnsynced)
      .finally(() => {
        this.syncing = undefined;
      });
  }
}

/** Syncs a file or directory to disk, so that a stored blob and its name survive a power cut. */
export async function syncFile(path: string, flags: 'r' | 'r+'): Promise<void> {
  const file = await open(path, flags);
  await file.sync().finally(() => file.close());
}

export function diskError(error: unknown, path: string): unknown {
  if (errorCode(error) !== 'ENOSPC') return error;
  return new AppError<BlobError>({ code: 'blobs/disk-full', path }, `The disk is full; make room for ${path}.`, {
    cause: error,
  });
}
