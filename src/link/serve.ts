/** The sending side of one transfer. */
import type { Sha256 } from '../domain/ids';
import type { TransferMessage, TransferMessageIn } from '../protocol/link';
import { chunkFrame } from './frames';
import { orAbort } from './or-abort';
import type { BlobReader, LinkBlobs } from './ports';
import { Window } from './window';

export type PullRequest = Extract<TransferMessage, { type: 'blob.pull' }>;

export interface ServeDeps {
  blobs: LinkBlobs;
  /** Whether the receiver may have this blob. */
  mayPull(sha256: Sha256): boolean | Promise<boolean>;
  /** Of the transfers that are sent at once; the others wait for their turn. */
  turns: Window;
  /** Milliseconds that a receiver may grant nothing, or not read what it granted. */
  stallMs: number;
  pieceBytes: number;
  /** Resolves when the socket can take more. */
  sendFrame(frame: Buffer): Promise<void>;
  send(message: TransferMessageIn): void;
}

/** One blob being sent. A piece is read from disk only when the receiver has granted its bytes. */
export class Serve {
  private readonly window: Window;
  private readonly stop = new AbortController();
  private stall: NodeJS.Timeout | undefined;
  private isCanceled = false;
  /** Bytes handed to the socket so far. */
  sentBytes = 0;

  constructor(
    private readonly request: PullRequest,
    private readonly deps: ServeDeps,
  ) {
    this.window = new Window(request.window);
  }

  grant(bytes: number): void {
    this.stall?.refresh();
    this.window.give(bytes);
  }

  cancel(reason: unknown): void {
    this.isCanceled = true;
    this.stop.abort(reason);
  }

  /** Sends the whole blob when its turn comes. Reports a failure, unless the transfer was canceled. */
  async run(): Promise<void> {
    const { turns, stallMs, send } = this.deps;
    const turn = await turns.take(1, this.stop.signal).then(
      () => true,
      () => false,
    );
    if (!turn) return;
    this.stall = setTimeout(() => this.stop.abort(new Error(`nothing moved for ${stallMs} ms`)), stallMs);
    try {
      await this.stream();
    } catch (error) {
      if (this.isCanceled) return;
      const reason = error instanceof Error ? error.message.slice(0, 500) : 'cannot be read';
      send({ type: 'blob.failed', transfer: this.request.transfer, reason });
    } finally {
      clearTimeout(this.stall);
      turns.give(1);
    }
  }

  private async stream(): Promise<void> {
    const { blobs } = this.deps;
    const { sha256, bytes } = this.request;
    const blob = (await this.deps.mayPull(sha256)) ? await blobs.stat(sha256) : undefined;
    if (!blob) throw new Error('this blob is not stored here');
    if (blob.bytes !== bytes) throw new Error(`the blob has ${blob.bytes} bytes, not ${bytes}`);
    const file = await blobs.openReader(sha256);
    try {
      for (let { offset } = this.request; offset < bytes; ) offset += await this.sendPiece(file, offset);
    } finally {
      await file.close();
    }
  }

  /** Waits for some credit and sends a piece of at most as many bytes; returns their number. */
  private async sendPiece(file: BlobReader, offset: number) {
    const { bytes, transfer } = this.request;
    const { pieceBytes, sendFrame } = this.deps;
    const { signal } = this.stop;
    await this.window.take(1, signal);
    const granted = 1 + this.window.takeNow(Math.min(pieceBytes, bytes - offset) - 1);
    const { frame, piece } = chunkFrame(transfer, offset, granted);
    if ((await file.read(piece, offset)) < granted) throw new Error('the blob is shorter than it was');
    await orAbort(sendFrame(frame), signal);
    this.stall?.refresh();
    this.sentBytes += granted;
    return granted;
  }
}
