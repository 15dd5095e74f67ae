/** Blobs on disk: files named by their sha256, and the partial files of those still arriving. */
import { createReadStream } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { Sha256 } from '../domain/ids';
import { AppError, errorCode } from '../lib/errors';
import { sha256 } from '../lib/hash';
import { type FileHash, hashOpenFile } from '../lib/hash-threads';
import { openRegular, type PathError } from '../lib/paths';
import { type BlobError, diskError, FilePart, type RunningHash, syncFile } from './file-part';
import { SharedReads } from './shared-reads';

/** The partial file of an arriving blob. Appended bytes survive an interruption and a restart. */
export interface BlobPart {
  /** Bytes on disk so far. */
  readonly offset: number;
  append(bytes: Uint8Array): Promise<void>;
  /**
   * Turns the part into a blob. Throws `blobs/hash-mismatch`, and drops the bytes, when the hash is wrong.
   */
  finish(): Promise<void>;
  /** Drops the bytes; `offset` is 0 again. */
  discard(): Promise<void>;
  /** Releases the file and keeps its bytes for the next opener. */
  close(): Promise<void>;
}

/** A blob, or a part of one, as it was found. */
export interface FoundBlob {
  sha256: Sha256;
  bytes: number;
  isPart: boolean;
}

const READ_BYTES = 256 * 1024;
/** Parts whose running hash is kept between two openings; of more, some are read again at their end. */
const MAX_HASHES = 256;

/**
 * A directory of files named by their sha256: `<dir>/<first two digits>/<hash>`, and `<hash>.part` while
 * they arrive. A blob exists whole and verified, or not at all.
 */
export class BlobStore {
  /** A promise of its closing for each open part. */
  private readonly openParts = new Map<Sha256, Promise<void>>();
  /** Of closed parts: an upload opens its part anew for every piece. */
  private readonly hashes = new Map<Sha256, RunningHash>();

  private readonly reads = new SharedReads();

  constructor(readonly dir: string) {}

  /** Returns the path a blob has, or would have. */
  path(sha: Sha256): string {
    return join(this.dir, sha.slice(0, 2), sha);
  }

  async stat(sha: Sha256): Promise<{ bytes: number } | undefined> {
    const found = await stat(this.path(sha)).catch(() => undefined);
    return found && { bytes: found.size };
  }

  /** Returns the size of a blob's part, without creating or locking it. */
  async partBytes(sha: Sha256): Promise<number> {
    return (await stat(this.partPath(sha)).catch(() => undefined))?.size ?? 0;
  }

  /** Whether a part has so many bytes, as far as that is known without a look at the disk. */
  expects(sha: Sha256, offset: number): boolean {
    return offset > 0 && this.hashes.get(sha)?.bytes === offset;
  }

  /** Reads a blob from `offset` to its end, or at most `bytes` of it. */
  openRead(sha: Sha256, offset = 0, bytes = Number.POSITIVE_INFINITY): Readable {
    return createReadStream(this.path(sha), { start: offset, end: offset + bytes - 1, highWaterMark: READ_BYTES });
  }

  /** Opens a blob that is read piece by piece, as its receiver can take them. */
  openReader(sha: Sha256) {
    return this.reads.open(this.path(sha));
  }

  /**
   * Adds a file by moving or copying it, under the hash of its bytes. One that is moved, or is said to lie
   * `within` a directory, may have been written by somebody untrusted: throws a `PathError` for a link, for
   * another kind of file, and for one that lies elsewhere.
   */
  async add(
    path: string,
    { move, within }: { move: boolean; within?: string | undefined },
  ): Promise<{ sha256: Sha256; bytes: number }> {
    await using file = move || within !== undefined ? await openRegular(path, within) : await open(path, 'r');
    const name = (await hashOpenFile(file)) as Sha256;
    if (!(await this.stat(name))) {
      if (move) await this.moveIn(path, name, file);
      else await this.copyIn(name, file);
    } else if (move) await rm(path, { force: true });
    return { sha256: name, bytes: (await this.stat(name))?.bytes ?? 0 };
  }

  async addBytes(bytes: Uint8Array): Promise<{ sha256: Sha256; bytes: number }> {
    const name = sha256(bytes) as Sha256;
    await this.writeIn(name, [bytes]);
    return { sha256: name, bytes: bytes.length };
  }

  async remove(sha: Sha256): Promise<void> {
    await rm(this.path(sha), { force: true });
    if (this.openParts.has(sha)) return;
    this.forgetHash(sha);
    await rm(this.partPath(sha), { force: true });
  }

  /** Lists every blob and every part. */
  async *list(): AsyncIterable<FoundBlob> {
    if (!(await stat(this.dir).catch(() => undefined))) return;
    for await (const { name, parentPath } of await opendir(this.dir, { recursive: true })) {
      const [, hash = '', part] = /^([0-9a-f]{64})(\.part)?$/.exec(name) ?? [];
      const found = Sha256.safeParse(hash).data && (await stat(join(parentPath, name)).catch(() => undefined));
      if (found?.isFile()) yield { sha256: Sha256.parse(hash), bytes: found.size, isPart: part !== undefined };
    }
  }

  /** Opens a blob's part to append to it. Throws `blobs/busy` while another opener has it. */
  async openPart(sha: Sha256): Promise<FilePart> {
    if (this.openParts.has(sha)) {
      throw new AppError<BlobError>(
        { code: 'blobs/busy', sha256: sha },
        `Blob ${sha.slice(0, 12)}… is already arriving.`,
      );
    }
    const release = this.hold(sha);
    try {
      const partPath = this.partPath(sha);
      await mkdir(dirname(partPath), { recursive: true });
      const file = await open(partPath, 'a+');
      const { size } = await file.stat();
      const start = { hash: this.takeHash(sha, size), bytes: size };
      return new FilePart(file, { partPath, finalPath: this.path(sha), name: sha }, start, release);
    } catch (error) {
      release();
      throw diskError(error, this.path(sha));
    }
  }

  /** Like `openPart`, but waits for the other opener. Returns undefined if the blob exists by then. */
  async openPartInTurn(sha: Sha256): Promise<BlobPart | undefined> {
    for (;;) {
      if (await this.stat(sha)) return undefined;
      const other = this.openParts.get(sha);
      if (!other) return this.openPart(sha);
      await other;
    }
  }

  private partPath(sha: Sha256): string {
    return `${this.path(sha)}.part`;
  }

  private hold(sha: Sha256): (running?: RunningHash) => void {
    let closed = () => {};
    this.openParts.set(sha, new Promise((resolve) => (closed = resolve)));
    return (running) => {
      if (running) this.keepHash(sha, running);
      this.openParts.delete(sha);
      closed();
    };
  }

  private keepHash(sha: Sha256, running: RunningHash): void {
    this.hashes.set(sha, running);
    const [oldest] = this.hashes.keys();
    if (oldest !== undefined && this.hashes.size > MAX_HASHES) this.forgetHash(oldest);
  }

  private forgetHash(sha: Sha256): void {
    this.hashes.get(sha)?.hash?.drop();
    this.hashes.delete(sha);
  }

  /** Returns the hash of a part of this size, to be continued, if it is known. */
  private takeHash(sha: Sha256, bytes: number): FileHash | undefined {
    const kept = this.hashes.get(sha);
    this.hashes.delete(sha);
    if (kept?.bytes === bytes) return kept.hash;
    kept?.hash?.drop();
    return undefined;
  }

  private async moveIn(path: string, name: Sha256, file: FileHandle): Promise<void> {
    await mkdir(dirname(this.path(name)), { recursive: true });
    try {
      await file.sync();
      await rename(path, this.path(name));
      await this.requireSame(name, path, file);
      await syncFile(dirname(this.path(name)), 'r');
    } catch (error) {
      if (errorCode(error) !== 'EXDEV') throw diskError(error, path);
      await this.copyIn(name, file);
      await rm(path, { force: true });
    }
  }

  private copyIn(name: Sha256, file: FileHandle): Promise<void> {
    return this.writeIn(name, file.createReadStream({ start: 0, autoClose: false, highWaterMark: READ_BYTES }));
  }

  /** What was moved must be what was read: its writer may have exchanged it in between. */
  private async requireSame(name: Sha256, path: string, file: FileHandle): Promise<void> {
    const [moved, read] = await Promise.all([lstat(this.path(name)), file.stat()]);
    if (moved.ino === read.ino && moved.dev === read.dev) return;
    await rm(this.path(name), { force: true });
    throw new AppError<PathError>({ code: 'files/not-a-file', path }, `${path} was exchanged while it was stored.`);
  }

  /** Writes a blob from bytes that are all at hand. */
  private async writeIn(name: Sha256, pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const part = await this.openPartInTurn(name);
    if (!part) return;
    try {
      await part.discard();
      for await (const piece of pieces) await part.append(piece);
      await part.finish();
    } finally {
      await part.close();
    }
  }
}
