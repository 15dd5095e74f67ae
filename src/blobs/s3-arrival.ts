/**
 * A blob on its way into a bucket: gathered into parts, hashed as it comes, named only when the hash is
 * right.
 */
import type { IHasher } from 'hash-wasm';
import type { Sha256 } from '../domain/ids';
import { AppError, errorCode } from '../lib/errors';
import type { ArrivalProgress } from './arrival-progress';
import type { Bucket } from './bucket';
import type { BlobError } from './file-part';
import type { Room } from './room';
import { type ArrivalKeys, PartUpload } from './s3-upload';

export type ArrivalError = { code: 'blobs/too-many-parts'; status: 413; maxBytes: number };

/** Some services want all parts but the last to be of one size. */
export const PART_BYTES = 8 * 2 ** 20;
/** What S3 allows. */
const MAX_PARTS = 10_000;

/** What all uploads of a storage share. */
export interface ArrivalDeps {
  bucket: Bucket;
  room: Room;
}

/**
 * The upload of one blob. Parts are sent while the next is gathered; a failure shows at the next call. What
 * S3 has is noted in the bucket, so that this storage after a restart, or another one, has to be sent the
 * last parts again at most.
 */
export class Arrival {
  private upload: PartUpload;
  private tail: Buffer | undefined;
  private tailBytes = 0;

  private constructor(
    private readonly to: ArrivalDeps,
    private readonly name: Sha256,
    private readonly keys: ArrivalKeys,
    private readonly hash: IHasher,
    progress: ArrivalProgress | undefined,
  ) {
    this.upload = new PartUpload(to.bucket, keys, progress);
  }

  /** Begins an upload, or goes on with one. */
  static async open(
    to: ArrivalDeps,
    name: Sha256,
    keys: ArrivalKeys,
    progress: ArrivalProgress | undefined,
  ): Promise<Arrival> {
    const { createSHA256 } = await import('hash-wasm');
    const hash = (await createSHA256()).init();
    const known = progress && loads(hash, progress.hashState) ? progress : undefined;
    const arrival = new Arrival(to, name, keys, hash, known);
    if (known) await arrival.gather(known.tail);
    return arrival;
  }

  get offset(): number {
    return this.upload.parts * PART_BYTES + this.tailBytes;
  }

  /** Whether something has gone wrong: what S3 has is then less than `offset`. */
  get hasFailed(): boolean {
    return this.upload.failure !== undefined;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.upload.failure) throw this.upload.failure;
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
      if (actual === this.name) await this.upload.complete(this.gathered());
      await this.discard();
    } catch (error) {
      if (errorCode(error) === 's3/upload-lost') await this.discard();
      this.upload.fail(error);
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
    await this.upload.quiet();
    await this.upload.drop();
    this.reset();
  }

  /** Notes everything in the bucket, and gives the memory back; the arrival is of no more use then. */
  async park(): Promise<void> {
    try {
      await this.settle();
      await this.upload.noteAll(this.hash.save(), this.gathered());
    } finally {
      await this.drop();
    }
  }

  /** Gives the memory back, once nothing is under way any more. */
  async drop(): Promise<void> {
    await this.upload.quiet();
    this.reset();
  }

  private async gather(bytes: Uint8Array): Promise<void> {
    await this.to.room.take(bytes.length);
    this.tail ??= this.to.room.takePart();
    this.tail.set(bytes, this.tailBytes);
    this.tailBytes += bytes.length;
  }

  /** What is behind the last part. */
  private gathered(): Buffer {
    return this.tail?.subarray(0, this.tailBytes) ?? Buffer.alloc(0);
  }

  private async sendTail(): Promise<void> {
    if (this.upload.parts === MAX_PARTS - 1) throw tooManyParts();
    await this.upload.ready();
    const tail = this.gathered();
    this.tail = undefined;
    this.tailBytes = 0;
    this.upload.send(tail, this.hash.save(), () => {
      this.to.room.give(PART_BYTES);
      this.to.room.givePart(tail);
    });
  }

  private async settle(): Promise<void> {
    await this.upload.quiet();
    if (this.upload.failure) throw this.upload.failure;
  }

  private reset(): void {
    this.to.room.give(this.tailBytes);
    if (this.tail) this.to.room.givePart(this.tail);
    this.hash.init();
    this.tail = undefined;
    this.tailBytes = 0;
    this.upload = new PartUpload(this.to.bucket, this.keys);
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
