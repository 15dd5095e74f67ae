/** Blobs in a bucket of an S3 service, which any number of storages may share. */
import type { Readable } from 'node:stream';
import { Sha256 } from '../domain/ids';
import { AppError } from '../lib/errors';
import { type ArrivalProgress, decodeProgress } from './arrival-progress';
import type { BlobPart, FoundBlob } from './blob-store';
import type { Bucket } from './bucket';
import type { BlobError } from './file-part';
import { Room } from './room';
import { Arrival, type ArrivalDeps, PART_BYTES } from './s3-arrival';
import type { StoredBlobs } from './stored-blobs';

export type S3BlobError = { code: 'blobs/gone'; sha256: string };

/** Of all that arrives at once: eight parts. */
const MAX_HELD_BYTES = 8 * PART_BYTES;
/**
 * Uploads between two of their pieces whose bytes stay in memory; of more, the oldest is noted in the
 * bucket.
 */
const MAX_IDLE = 2;
const ROOM_MS = 10_000;

/**
 * Objects named `<prefix>blobs/<sha256>`, and `<prefix>incoming/<sha256>` with the progress of those that
 * still arrive. An upload is an S3 multipart upload of the blob's own name, completed once its hash is
 * right, so a blob exists whole and verified, or not at all, whatever happens to the storages.
 */
export class S3Blobs implements StoredBlobs, AsyncDisposable {
  private readonly openArrivals = new Map<Sha256, Arrival | undefined>();
  /** Of closed parts, the oldest first. */
  private readonly idle = new Map<Sha256, Arrival>();
  private readonly arrivals: ArrivalDeps;

  constructor(
    private readonly bucket: Bucket,
    private readonly prefix = '',
  ) {
    this.arrivals = { bucket, room: new Room(MAX_HELD_BYTES, PART_BYTES, ROOM_MS) };
  }

  async stat(sha: Sha256): Promise<{ bytes: number } | undefined> {
    const bytes = await this.bucket.size(this.key(sha));
    return bytes === undefined ? undefined : { bytes };
  }

  async partBytes(sha: Sha256): Promise<number> {
    const open = this.openArrivals.get(sha);
    if (open) return open.offset;
    const kept = this.idle.get(sha);
    const keptBytes = kept && !kept.hasFailed ? kept.offset : 0;
    return Math.max(keptBytes, bytesOf(await this.progress(sha)));
  }

  expects(sha: Sha256, offset: number): boolean {
    const kept = this.idle.get(sha);
    return kept !== undefined && !kept.hasFailed && kept.offset === offset;
  }

  async openRead(sha: Sha256, offset = 0, bytes = Number.POSITIVE_INFINITY): Promise<Readable> {
    const end = Number.isFinite(bytes) ? String(offset + bytes - 1) : '';
    const isWhole = offset === 0 && end === '';
    const body = await this.bucket.read(this.key(sha), isWhole ? undefined : `bytes=${offset}-${end}`);
    if (body) return body;
    throw new AppError<S3BlobError>(
      { code: 'blobs/gone', sha256: sha },
      `Blob ${sha.slice(0, 12)}… is not in the bucket any more.`,
    );
  }

  /**
   * Opens a blob's part to append to it. The bucket is asked for its progress where this storage knows of
   * none, or of another than its sender, who may have sent the last piece to another storage.
   */
  async openPart(sha: Sha256, senderOffset?: number): Promise<BlobPart> {
    if (this.openArrivals.has(sha)) {
      throw new AppError<BlobError>(
        { code: 'blobs/busy', sha256: sha },
        `Blob ${sha.slice(0, 12)}… is already arriving.`,
      );
    }
    this.openArrivals.set(sha, undefined);
    try {
      const arrival = await this.arrival(sha, senderOffset);
      this.openArrivals.set(sha, arrival);
      return new S3Part(arrival, () => this.release(sha, arrival));
    } catch (error) {
      this.openArrivals.delete(sha);
      throw error;
    }
  }

  async remove(sha: Sha256): Promise<void> {
    await this.bucket.remove(this.key(sha));
    if (!this.openArrivals.has(sha)) await this.removePart(sha);
  }

  async *list(): AsyncGenerator<FoundBlob> {
    for await (const { key, bytes } of this.bucket.list(this.key(''))) {
      const sha256 = Sha256.safeParse(key.slice(this.key('').length)).data;
      if (sha256) yield { sha256, bytes, isPart: false };
    }
    const parts = new Set([...this.openArrivals.keys(), ...this.idle.keys()]);
    for await (const { key } of this.bucket.list(this.progressKey(''))) {
      const sha256 = Sha256.safeParse(key.slice(this.progressKey('').length)).data;
      if (sha256) parts.add(sha256);
    }
    for (const sha256 of parts) yield { sha256, bytes: await this.partBytes(sha256), isPart: true };
  }

  /** Drops unfinished uploads, of any storage, that have not gone on since `beforeMs`. */
  async dropOldParts(beforeMs: number): Promise<void> {
    const live = new Set<string>();
    const incoming = this.progressKey('');
    for await (const { key, changedMs } of this.bucket.list(incoming)) {
      const sha = Sha256.safeParse(key.slice(incoming.length)).data;
      if (!sha) continue;
      if (changedMs >= beforeMs || this.openArrivals.has(sha)) live.add(this.key(sha));
      else await this.removePart(sha);
    }
    // Those whose storage ended before it noted their first part, and those that another storage's
    // displaced.
    for await (const { key, uploadId, startedMs } of this.bucket.openUploads(this.key(''))) {
      if (startedMs < beforeMs && !live.has(key)) await this.bucket.abortUpload(key, uploadId);
    }
  }

  /** Notes the progress of all uploads in the bucket, for the next process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.idle.values()].map((arrival) => arrival.park()));
    this.bucket[Symbol.dispose]();
  }

  private key(sha: string): string {
    return `${this.prefix}blobs/${sha}`;
  }

  private progressKey(sha: string): string {
    return `${this.prefix}incoming/${sha}`;
  }

  private async progress(sha: Sha256): Promise<ArrivalProgress | undefined> {
    const bytes = await this.bucket.readAll(this.progressKey(sha));
    return bytes && decodeProgress(bytes);
  }

  private async arrival(sha: Sha256, senderOffset: number | undefined): Promise<Arrival> {
    const kept = this.idle.get(sha);
    this.idle.delete(sha);
    if (kept && !kept.hasFailed && kept.offset === (senderOffset ?? kept.offset)) return kept;
    const progress = await this.progress(sha);
    if (kept && !kept.hasFailed && kept.offset >= bytesOf(progress)) return kept;
    await kept?.drop();
    const keys = { blob: this.key(sha), progress: this.progressKey(sha) };
    return Arrival.open(this.arrivals, sha, keys, progress);
  }

  private async release(sha: Sha256, arrival: Arrival): Promise<void> {
    this.openArrivals.delete(sha);
    if (arrival.hasFailed || arrival.offset === 0) return arrival.drop();
    this.idle.set(sha, arrival);
    const [oldest] = this.idle.entries();
    if (!oldest || this.idle.size <= MAX_IDLE) return;
    this.idle.delete(oldest[0]);
    await oldest[1].park();
  }

  private async removePart(sha: Sha256): Promise<void> {
    const part = await this.openPart(sha);
    await part.discard().finally(() => part.close());
    // Also what another version wrote there.
    await this.bucket.remove(this.progressKey(sha));
  }
}

function bytesOf(progress: ArrivalProgress | undefined): number {
  return progress ? progress.tags.length * PART_BYTES + progress.tail.length : 0;
}

class S3Part implements BlobPart {
  private isOpen = true;

  constructor(
    private readonly arrival: Arrival,
    private readonly release: () => Promise<void>,
  ) {}

  get offset(): number {
    return this.arrival.offset;
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.arrival.append(bytes);
  }

  async finish(): Promise<void> {
    await this.arrival.finish();
    await this.close();
  }

  discard(): Promise<void> {
    return this.arrival.discard();
  }

  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.release();
  }
}
