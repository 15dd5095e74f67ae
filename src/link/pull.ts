/** The receiving side of one transfer. */
import { AppError } from '../lib/errors';
import type { BlobRef } from '../protocol/blob-ref';
import { CHUNK_BYTES, TRANSFER_WINDOW_BYTES, type TransferMessageIn } from '../protocol/link';
import { type LinkError, refusal } from './errors';
import { freeChunk } from './frames';
import type { IncomingBlob } from './ports';
import type { Window } from './window';

/** The window moves in steps of at least this many bytes, so that small chunks do not cost a message each. */
const GRANT_BYTES = 2 * CHUNK_BYTES;

export interface PullDeps {
  send(message: TransferMessageIn): void;
  /** What the windows of all transfers are taken from. */
  pool: Window;
  /** Milliseconds without a chunk after which the pull fails. */
  stallMs: number;
  signal: AbortSignal;
  onProgress(bytes: number): void;
}

/** One blob being received over one socket; what arrives during a write makes up the next one. */
export class Pull {
  private inbox: Uint8Array[] = [];
  private waiter: { resolve(): void; reject(error: unknown): void } | undefined;
  /** Offset at which the next chunk must start. */
  private expected: number;
  /** Offset up to which the sender may send. */
  private granted: number;

  /** `window`: bytes taken from the pool for it; so many may be in flight, and in memory, at once. */
  constructor(
    private readonly transfer: number,
    private readonly blob: BlobRef,
    private readonly part: IncomingBlob,
    private window: number,
    private readonly deps: PullDeps,
  ) {
    this.expected = part.offset;
    this.granted = part.offset + window;
  }

  /** Bytes the sender may still send, or has sent already. */
  get inFlight(): number {
    return this.granted - this.expected;
  }

  /** What goes back to the pool at the end. */
  get taken(): number {
    return this.window;
  }

  /** Takes a chunk from the socket. Throws when it exceeds the window or does not follow the previous one. */
  accept(offset: number, bytes: Uint8Array): void {
    if (offset !== this.expected) {
      throw refusal('link/bad-frame', `Transfer ${this.transfer} sent offset ${offset} instead of ${this.expected}.`);
    }
    if (bytes.length > this.inFlight) {
      throw refusal('link/overrun', `Transfer ${this.transfer} sent more than its window allows.`);
    }
    this.expected += bytes.length;
    this.inbox.push(bytes);
    this.waiter?.resolve();
  }

  /** Requests the blob and resolves when all its bytes are in the part. */
  async run(): Promise<void> {
    const { stallMs, signal, send } = this.deps;
    const { sha256, bytes } = this.blob;
    const { offset } = this.part;
    // One timer and one listener for all chunks: there are thousands of these in a second.
    const stall = setTimeout(() => this.waiter?.reject(this.stalled()), stallMs);
    const giveUp = () => this.waiter?.reject(signal.reason);
    signal.addEventListener('abort', giveUp);
    send({ type: 'blob.pull', transfer: this.transfer, sha256, bytes, offset, window: this.window });
    try {
      while (this.part.offset < bytes) await this.write(stall);
    } finally {
      clearTimeout(stall);
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Writes all that has arrived. */
  private async write(stall: NodeJS.Timeout): Promise<void> {
    const { signal, onProgress } = this.deps;
    signal.throwIfAborted();
    if (this.inbox.length === 0) await this.arrival(stall);
    const chunks = this.inbox;
    this.inbox = [];
    await this.part.append(chunks);
    for (const chunk of chunks) freeChunk(chunk);
    onProgress(this.part.offset);
    this.grant(this.part.offset);
  }

  private async arrival(stall: NodeJS.Timeout): Promise<void> {
    const arrival = new Promise<void>((resolve, reject) => {
      this.waiter = { resolve, reject };
    });
    stall.refresh();
    await arrival.finally(() => {
      this.waiter = undefined;
    });
  }

  private grant(written: number): void {
    this.widen();
    const upTo = Math.min(this.blob.bytes, written + this.window);
    const more = upTo - this.granted;
    if (more < Math.min(GRANT_BYTES, this.window / 4) && (more <= 0 || upTo < this.blob.bytes)) return;
    this.granted = upTo;
    this.deps.send({ type: 'blob.window', transfer: this.transfer, bytes: more });
  }

  /** Takes more from the pool where other transfers have left it. */
  private widen(): void {
    const { pool } = this.deps;
    const wanted = Math.min(TRANSFER_WINDOW_BYTES, this.blob.bytes - this.part.offset);
    this.window += pool.takeNow(Math.max(0, pool.shareOf(wanted) - this.window));
  }

  private stalled(): AppError<LinkError> {
    const { sha256, bytes } = this.blob;
    const { offset } = this.part;
    return new AppError<LinkError>(
      { code: 'link/stalled', sha256, offset },
      `No byte of blob ${sha256} arrived for ${this.deps.stallMs} ms after ${offset} of ${bytes}.`,
    );
  }
}
