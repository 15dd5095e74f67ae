/**
 * A blob on its way into a bucket: gathered into parts, hashed as it comes, named only when the hash is
 * right.
 */
import type { IHasher } from 'hash-wasm';
import type { Sha256 } from '../domain/ids';
import { AppError, errorCode } from '../lib/errors';
import { type ArrivalProgress, encodeProgress } from './arrival-progress';
import type { BlobError } from './blob-store';
import type { Bucket } from './bucket';
import type { Room } from './room';

export type ArrivalError = { code: 'blobs/too-many-parts'; status: 413; maxBytes: number };

/** Some services want all parts but the last to be of one size. */
export const PART_BYTES = 8 * 2 ** 20;
/** What S3 allows. */
const MAX_PARTS = 10_000;

/** Where a blob goes, and where what is known of its upload is kept. */
export interface ArrivalKeys {
  blob: string;
  progress: string;
}

/**
 * The upload of one blob. One part is sent while the next is gathered; its failure shows at the next call.
 * What S3 has is noted in the bucket, so that this storage after a restart, or another one, has to be sent
 * the last parts again at most.
 */
export class Arrival {
  private uploadId: string | undefined;
  private readonly tags: string[];
  /** Parts that S3 has, or that are on their way. */
  private parts: number;
  private tail: Buffer | undefined;
  private tailBytes = 0;
  private sending: Promise<void> = Promise.resolve();
  private noting: Promise<void> = Promise.resolve();
  private toNote: ArrivalProgress | undefined;
  private isNoted: boolean;
  private failure: unknown;

  private constructor(
    private readonly bucket: Bucket,
    private readonly name: Sha256,
    private readonly keys: ArrivalKeys,
    private readonly room: Room,
    private readonly hash: IHasher,
    progress: ArrivalProgress | undefined,
  ) {
    this.uploadId = progress?.uploadId;
    this.tags = [...(progress?.tags ?? [])];
    this.parts = this.tags.length;
    this.isNoted = progress !== undefined;
  }

  /** Begins an upload, or goes on with one. */
  static async open(
    bucket: Bucket,
    name: Sha256,
    keys: ArrivalKeys,
    room: Room,
    progress: ArrivalProgress | undefined,
  ): Promise<Arrival> {
    const { createSHA256 } = await import('hash-wasm');
    const hash = (await createSHA256()).init();
    const known = progress && loads(hash, progress.hashState) ? progress : undefined;
    const arrival = new Arrival(bucket, name, keys, room, hash, known);
    if (known) await arrival.gather(known.tail);
    return arrival;
  }

  get offset(): number {
    return this.parts * PART_BYTES + this.tailBytes;
  }

  /** Whether something has gone wrong: what S3 has is then less than `offset`. */
  get hasFailed(): boolean {
    return this.failure !== undefined;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.failure) throw this.failure;
      const taken = rest.subarray(0, PART_BYTES - this.tailBytes);
      await this.gather(taken);
      this.hash.update(taken);
      rest = rest.subarray(taken.length);
      if (this.tailBytes === PART_BYTES) await this.sendTail();
    }
  }

  /** Names the blob. Throws `blobs/hash-mismatch`, and drops the bytes, when the hash is wrong. */
  async finish(): Promise<void> {
    await this.settle();
    const actual = this.hash.digest('hex');
    try {
      if (actual === this.name) await this.join();
      await this.discard();
    } catch (error) {
      if (errorCode(error) === 's3/upload-lost') await this.discard();
      this.fail(error);
      throw error;
    }
    if (actual === this.name) return;
    throw new AppError<BlobError>(
      { code: 'blobs/hash-mismatch', expected: this.name, actual },
      `What arrived as blob ${this.name.slice(0, 12)}… has the hash ${actual.slice(0, 12)}…; it was deleted.`,
    );
  }

  /** Drops the bytes, here and in the bucket; `offset` is 0 again. */
  async discard(): Promise<void> {
    await this.quiet();
    if (this.uploadId !== undefined) await this.bucket.abortUpload(this.keys.blob, this.uploadId);
    if (this.isNoted) await this.bucket.remove(this.keys.progress);
    this.reset();
  }

  /** Notes everything in the bucket, and gives the memory back; the arrival is of no more use then. */
  async park(): Promise<void> {
    try {
      await this.settle();
      if (this.tailBytes === 0) return;
      const { uploadId, tags } = this;
      const tail = this.tail?.subarray(0, this.tailBytes) ?? Buffer.alloc(0);
      const progress = encodeProgress({ uploadId, tags, hashState: this.hash.save(), tail });
      await this.bucket.write(this.keys.progress, progress);
    } finally {
      await this.drop();
    }
  }

  /** Gives the memory back, once nothing is under way any more. */
  async drop(): Promise<void> {
    await this.quiet();
    this.reset();
  }

  private async gather(bytes: Uint8Array): Promise<void> {
    await this.room.take(bytes.length);
    this.tail ??= this.room.takePart();
    this.tail.set(bytes, this.tailBytes);
    this.tailBytes += bytes.length;
  }

  /** Sends the gathered part once the one before is sent, and does not wait for it. */
  private async sendTail(): Promise<void> {
    if (this.parts === MAX_PARTS - 1) throw tooManyParts();
    await this.sending;
    if (this.failure) throw this.failure;
    const { tail } = this;
    if (!tail) return;
    this.tail = undefined;
    this.tailBytes = 0;
    this.parts += 1;
    const hashState = this.hash.save();
    this.sending = this.sendPart(tail, hashState)
      .catch((error) => this.fail(error))
      .finally(() => {
        this.room.give(PART_BYTES);
        this.room.givePart(tail);
      });
  }

  private async sendPart(bytes: Uint8Array, hashState: Uint8Array): Promise<void> {
    this.uploadId ??= await this.bucket.startUpload(this.keys.blob);
    const number = this.tags.length + 1;
    this.tags.push(await this.bucket.writePart(this.keys.blob, this.uploadId, number, bytes));
    this.note({ uploadId: this.uploadId, tags: [...this.tags], hashState, tail: Buffer.alloc(0) });
  }

  /** Writes progress down beside the next part; of several that wait, only the last. */
  private note(progress: ArrivalProgress): void {
    const isWriting = this.toNote !== undefined;
    this.toNote = progress;
    if (isWriting) return;
    this.isNoted = true;
    this.noting = this.noting.then(async () => {
      const latest = this.toNote;
      this.toNote = undefined;
      if (latest) await this.bucket.write(this.keys.progress, encodeProgress(latest));
    });
    this.noting = this.noting.catch((error) => this.fail(error));
  }

  /** Makes the verified bytes an object with the blob's name, at once or not at all. */
  private async join(): Promise<void> {
    const { uploadId, tags } = this;
    const tail = this.tail?.subarray(0, this.tailBytes) ?? Buffer.alloc(0);
    if (uploadId === undefined) return this.bucket.write(this.keys.blob, tail);
    const last =
      tail.length === 0 ? [] : [await this.bucket.writePart(this.keys.blob, uploadId, tags.length + 1, tail)];
    await this.bucket.completeUpload(this.keys.blob, uploadId, [...tags, ...last]);
    this.uploadId = undefined;
  }

  private async settle(): Promise<void> {
    await this.quiet();
    if (this.failure) throw this.failure;
  }

  /** Waits for what is under way, however it ends. */
  private async quiet(): Promise<void> {
    await this.sending;
    await this.noting;
  }

  private fail(error: unknown): void {
    this.failure ??= error;
  }

  private reset(): void {
    this.room.give(this.tailBytes);
    if (this.tail) this.room.givePart(this.tail);
    this.hash.init();
    this.tags.length = 0;
    this.parts = 0;
    this.tail = undefined;
    this.tailBytes = 0;
    this.uploadId = undefined;
    this.isNoted = false;
    this.failure = undefined;
  }
}

/** Returns false for the state of another build's hash. */
function loads(hash: IHasher, state: Uint8Array): boolean {
  try {
    hash.load(state);
    return true;
  } catch {
    return false;
  }
}

function tooManyParts(): AppError<ArrivalError> {
  const maxBytes = MAX_PARTS * PART_BYTES;
  return new AppError(
    { code: 'blobs/too-many-parts', status: 413, maxBytes },
    `A blob in S3 has at most ${maxBytes} bytes; upload it elsewhere, or in two.`,
  );
}
