/** The parts of one multipart upload: several on their way at once, and noted in the bucket that has them. */
import { setTimeout as delay } from 'node:timers/promises';
import { type ArrivalProgress, encodeProgress } from './arrival-progress';
import type { Bucket } from './bucket';

/** Where a blob goes, and where what is known of its upload is kept. */
export interface ArrivalKeys {
  blob: string;
  progress: string;
}

/** Parts that are on their way at once: S3 takes its time for each, and several beside each other. */
const MAX_SENDING = 2;
/** At full speed parts follow each other more quickly than anybody needs to know of them. */
const NOTE_MS = 1000;

/** Goes on from what is noted, if anything is. A failure shows at the next call, and lasts. */
export class PartUpload {
  private id: Promise<string> | undefined;
  /** By part, in order; undefined while it is on its way. */
  private readonly tags: (string | undefined)[];
  /** Of the bytes up to the end of a part, by how many parts that are. */
  private readonly hashStates = new Map<number, Uint8Array>();
  private readonly sending = new Set<Promise<void>>();
  private readonly over = new AbortController();
  private noting: Promise<void> | undefined;
  private notedParts: number;
  private notedAtMs = Number.NEGATIVE_INFINITY;
  private isNoted: boolean;
  private broken: unknown;

  constructor(
    private readonly bucket: Bucket,
    private readonly keys: ArrivalKeys,
    progress?: ArrivalProgress,
  ) {
    if (progress?.uploadId !== undefined) this.id = Promise.resolve(progress.uploadId);
    this.tags = [...(progress?.tags ?? [])];
    this.notedParts = this.tags.length;
    this.isNoted = progress !== undefined;
  }

  /** Parts that the bucket has, or that are on their way. */
  get parts(): number {
    return this.tags.length;
  }

  get failure(): unknown {
    return this.broken;
  }

  fail(error: unknown): void {
    this.broken ??= error;
  }

  /** Waits until one more part may be sent. */
  async ready(): Promise<void> {
    while (this.sending.size >= MAX_SENDING) await Promise.race(this.sending);
    if (this.broken) throw this.broken;
  }

  /** Sends one more part, whose bytes stay as they are until `release`; does not wait for it. */
  send(bytes: Uint8Array, hashState: Uint8Array, release: () => void): void {
    const number = this.tags.push(undefined);
    const sent = this.sendPart(number, bytes, hashState)
      .catch((error) => this.fail(error))
      .finally(() => {
        this.sending.delete(sent);
        release();
      });
    this.sending.add(sent);
  }

  /** Waits for what is under way, however it ends; nothing is sent afterwards. */
  async quiet(): Promise<void> {
    await Promise.all(this.sending);
    this.over.abort();
    await this.noting;
  }

  /** Makes the parts, and the bytes behind them, an object at once or not at all. */
  async complete(tail: Uint8Array): Promise<void> {
    if (this.id === undefined) return this.bucket.write(this.keys.blob, tail);
    const { blob } = this.keys;
    const [id, tags] = [await this.id, this.prefix()];
    const last = tail.length === 0 ? [] : [await this.bucket.writePart(blob, id, tags.length + 1, tail)];
    await this.bucket.completeUpload(blob, id, [...tags, ...last]);
    this.id = undefined;
  }

  /** Drops what the bucket has of it. */
  async drop(): Promise<void> {
    const id = await this.id?.catch(() => undefined);
    if (id !== undefined) await this.bucket.abortUpload(this.keys.blob, id);
    if (this.isNoted) await this.bucket.remove(this.keys.progress);
  }

  /** Notes all parts with the bytes behind them, and the hash of everything. */
  async noteAll(hashState: Uint8Array, tail: Uint8Array): Promise<void> {
    if (tail.length === 0 && this.notedParts === this.parts) return;
    const progress = { uploadId: await this.id, tags: this.prefix(), hashState, tail };
    await this.bucket.write(this.keys.progress, encodeProgress(progress));
  }

  private async sendPart(number: number, bytes: Uint8Array, hashState: Uint8Array): Promise<void> {
    this.id ??= this.bucket.startUpload(this.keys.blob);
    this.tags[number - 1] = await this.bucket.writePart(this.keys.blob, await this.id, number, bytes);
    this.hashStates.set(number, hashState);
    this.noting ??= this.note()
      .catch((error) => this.fail(error))
      .finally(() => (this.noting = undefined));
  }

  /** Notes the parts that the bucket has without a gap, as long as there are more of them. */
  private async note(): Promise<void> {
    for (let tags = this.prefix(); tags.length > this.notedParts; tags = this.prefix()) {
      await this.pause(this.notedAtMs + NOTE_MS - performance.now());
      tags = this.prefix();
      const hashState = this.hashStates.get(tags.length);
      if (this.over.signal.aborted || !hashState) return;
      this.isNoted = true;
      this.notedAtMs = performance.now();
      const progress = { uploadId: await this.id, tags, hashState, tail: Buffer.alloc(0) };
      await this.bucket.write(this.keys.progress, encodeProgress(progress));
      for (; this.notedParts < tags.length; this.notedParts += 1) this.hashStates.delete(this.notedParts);
    }
  }

  /** Returns early when the upload is over. */
  private async pause(ms: number): Promise<void> {
    await delay(Math.max(0, ms), undefined, { signal: this.over.signal }).catch(() => undefined);
  }

  private prefix(): string[] {
    const gap = this.tags.indexOf(undefined);
    return this.tags.slice(0, gap === -1 ? this.tags.length : gap) as string[];
  }
}
