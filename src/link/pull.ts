/** The receiving side of one transfer. */
import { AppError } from '../lib/errors';
import { Mailbox } from '../lib/mailbox';
import type { BlobRef } from '../protocol/blob-ref';
import { CHUNK_BYTES, TRANSFER_WINDOW_BYTES, type TransferMessageIn } from '../protocol/link';
import { type LinkError, refusal } from './errors';
import type { IncomingBlob } from './ports';

/** The window moves in steps of at least this many bytes, so that small chunks do not cost a message each. */
const GRANT_BYTES = 2 * CHUNK_BYTES;

export interface PullDeps {
  send(message: TransferMessageIn): void;
  /** Milliseconds without a chunk after which the pull fails. */
  stallMs: number;
  signal: AbortSignal;
  onProgress(bytes: number): void;
}

/** The window of a pull of this many bytes: how many may be in flight, and so in memory, at once. */
export function windowOf(bytes: number): number {
  return Math.min(bytes, TRANSFER_WINDOW_BYTES);
}

/** One blob being received over one socket and appended to its part as it arrives. */
export class Pull {
  private readonly inbox = new Mailbox<Uint8Array>();
  /** Offset at which the next chunk must start. */
  private expected: number;
  /** Offset up to which the sender may send. */
  private granted: number;

  constructor(
    private readonly transfer: number,
    private readonly blob: BlobRef,
    private readonly part: IncomingBlob,
    private readonly deps: PullDeps,
  ) {
    this.expected = part.offset;
    this.granted = part.offset + windowOf(blob.bytes - part.offset);
  }

  /** Bytes the sender may still send, or has sent already. */
  get inFlight(): number {
    return this.granted - this.expected;
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
  }

  /** Requests the blob and resolves when all its bytes are in the part. */
  async run(): Promise<void> {
    const { sha256, bytes } = this.blob;
    let written = this.part.offset;
    const window = this.granted - written;
    this.deps.send({ type: 'blob.pull', transfer: this.transfer, sha256, bytes, offset: written, window });
    while (written < bytes) {
      const chunk = await this.inbox.next(this.deps.stallMs, this.deps.signal);
      if (!chunk) throw this.stalled(written);
      await this.part.append(chunk);
      written += chunk.length;
      this.deps.onProgress(written);
      this.grant(written);
    }
  }

  private grant(written: number): void {
    const upTo = Math.min(this.blob.bytes, written + TRANSFER_WINDOW_BYTES);
    const more = upTo - this.granted;
    if (more < GRANT_BYTES && (more === 0 || upTo < this.blob.bytes)) return;
    this.granted = upTo;
    this.deps.send({ type: 'blob.window', transfer: this.transfer, bytes: more });
  }

  private stalled(offset: number): AppError<LinkError> {
    const { sha256 } = this.blob;
    return new AppError<LinkError>(
      { code: 'link/stalled', sha256, offset },
      `No byte of blob ${sha256} arrived for ${this.deps.stallMs} ms after ${offset} of ${this.blob.bytes}.`,
    );
  }
}
