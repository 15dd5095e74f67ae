/** The sending side of one transfer. */
import type { TransferMessage, TransferMessageIn } from '../protocol/link';
import { CHUNK_BYTES } from '../protocol/link';
import { encodeChunk } from './frames';
import type { LinkBlobs } from './ports';
import { Window } from './window';

export type PullRequest = Extract<TransferMessage, { type: 'blob.pull' }>;

export interface ServeDeps {
  blobs: LinkBlobs;
  /** Resolves when the socket can take more. */
  sendFrame(frame: Buffer): Promise<void>;
  send(message: TransferMessageIn): void;
}

/** One blob being sent, streamed from disk. Never has more in flight than the receiver's window allows. */
export class Serve {
  private readonly window: Window;
  private readonly stop = new AbortController();
  /** Bytes handed to the socket so far. */
  sentBytes = 0;

  constructor(
    private readonly request: PullRequest,
    private readonly deps: ServeDeps,
  ) {
    this.window = new Window(request.window);
  }

  grant(bytes: number): void {
    this.window.give(bytes);
  }

  cancel(reason: unknown): void {
    this.stop.abort(reason);
  }

  /** Sends the whole blob. Reports a failure to the receiver, unless the transfer was canceled. */
  async run(): Promise<void> {
    try {
      await this.stream();
    } catch (error) {
      if (this.stop.signal.aborted) return;
      const reason = error instanceof Error ? error.message.slice(0, 500) : 'cannot be read';
      this.deps.send({ type: 'blob.failed', transfer: this.request.transfer, reason });
    }
  }

  private async stream(): Promise<void> {
    const { sha256, bytes, transfer } = this.request;
    const { signal } = this.stop;
    const blob = await this.deps.blobs.stat(sha256);
    if (!blob) throw new Error('this blob is not stored here');
    if (blob.bytes !== bytes) throw new Error(`the blob has ${blob.bytes} bytes, not ${bytes}`);

    let offset = this.request.offset;
    const file = await this.deps.blobs.openRead(sha256, offset);
    // The loop below sees read errors; one after its end would end the process if nothing listened.
    file.on('error', () => {});
    try {
      for await (const data of file as AsyncIterable<Buffer>) {
        for (let at = 0; at < data.length; at += CHUNK_BYTES) {
          const piece = data.subarray(at, at + CHUNK_BYTES);
          await this.window.take(piece.length, signal);
          await this.deps.sendFrame(encodeChunk({ transfer, offset, bytes: piece }));
          offset += piece.length;
          this.sentBytes += piece.length;
        }
      }
    } finally {
      file.destroy();
    }
  }
}
