/** All transfers of one socket, in both directions. */
import type { Sha256 } from '../domain/ids';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { BlobRef } from '../protocol/blob-ref';
import { CHUNK_BYTES, TRANSFER_WINDOW_BYTES, type TransferMessage, type TransferMessageIn } from '../protocol/link';
import { type LinkError, refusal } from './errors';
import { decodeChunk } from './frames';
import type { KeyedLock } from './keyed-lock';
import type { IncomingBlob, LinkBlobs, PullOptions } from './ports';
import { Pull } from './pull';
import { type PullRequest, Serve, type ServeDeps } from './serve';
import { TrafficMeter } from './traffic';
import { Window } from './window';

/** How many blobs are sent at the same time; the other side never needs more than two. */
const MAX_TURNS = 4;
/** How many more may wait for their turn. */
const MAX_SERVES = 64;
/** Milliseconds that a transfer may stand still. */
export const STALL_MS = 60_000;

export interface TransferDeps {
  blobs: LinkBlobs;
  /** Whether the other side may have this blob. Any other is answered like one that is not there. */
  mayPull(sha256: Sha256): boolean | Promise<boolean>;
  /** Milliseconds without a byte or a grant after which a transfer ends. Default 60,000. */
  stallMs?: number;
  /** Bytes of a piece. Default: as many as a frame can carry. */
  pieceBytes?: number;
  send(message: TransferMessageIn): void;
  sendFrame(frame: Buffer): Promise<void>;
  /** Shared by all sockets of the process; bounds the bytes in flight to it. */
  pool: Window;
  /** Shared by all sockets of the process; gives every part a single writer. */
  writers: KeyedLock;
}

interface ActivePull {
  pull: Pull;
  fail(reason: string): void;
}

/** The transfers under way on one socket. */
export class Transfers {
  readonly sent = new TrafficMeter();
  readonly received = new TrafficMeter();
  private lastId = 0;
  private readonly pulls = new Map<number, ActivePull>();
  /** Bytes that may still arrive for abandoned pulls, by transfer id. */
  private readonly late = new Map<number, number>();
  private readonly serves = new Map<number, Serve>();
  private readonly turns = new Window(MAX_TURNS);
  private readonly ended = new AbortController();

  private readonly serving: ServeDeps;

  constructor(private readonly deps: TransferDeps) {
    this.serving = { stallMs: STALL_MS, pieceBytes: CHUNK_BYTES, turns: this.turns, ...deps };
  }

  /** Fetches a blob unless it is stored already. A second pull of the same blob waits for the first. */
  async pull(blob: BlobRef, options: PullOptions): Promise<void> {
    const { blobs, writers } = this.deps;
    const signals = options.signal ? [options.signal, this.ended.signal] : [this.ended.signal];
    const signal = AbortSignal.any(signals);
    await writers.run(blob.sha256, signal, async () => {
      if (await blobs.stat(blob.sha256)) return;
      signal.throwIfAborted();
      const part = await openPart(blobs, blob);
      try {
        if (part.offset < blob.bytes) await this.receive(blob, part, signal, options);
        await finish(part, blob);
      } finally {
        await part.close();
      }
    });
  }

  handle(message: TransferMessage): void {
    switch (message.type) {
      case 'blob.pull':
        return this.serve(message);
      case 'blob.window':
        return this.serves.get(message.transfer)?.grant(message.bytes);
      case 'blob.cancel':
        return this.serves.get(message.transfer)?.cancel(new Error(message.reason));
      case 'blob.failed':
        return this.pulls.get(message.transfer)?.fail(message.reason);
    }
  }

  /** Handles a binary frame. Throws `link/bad-frame` or `link/overrun`. */
  handleFrame(frame: Buffer): void {
    const chunk = decodeChunk(frame);
    if (!chunk) throw refusal('link/bad-frame', 'The binary frame is not a chunk of a blob.');
    const active = this.pulls.get(chunk.transfer);
    if (active) active.pull.accept(chunk.offset, chunk.bytes);
    else this.dropLate(chunk.transfer, chunk.bytes.length);
  }

  /** Fails every transfer with this error, because the socket is closed. */
  end(error: AppError<LinkError>): void {
    this.ended.abort(error);
    for (const serve of this.serves.values()) serve.cancel(error);
  }

  private async receive(blob: BlobRef, part: IncomingBlob, outer: AbortSignal, options: PullOptions): Promise<void> {
    const { pool, send } = this.deps;
    const missing = blob.bytes - part.offset;
    const window = await pool.takeShare(Math.min(missing, TRANSFER_WINDOW_BYTES), outer);
    const id = ++this.lastId;
    const failed = new AbortController();
    const signal = AbortSignal.any([outer, failed.signal]);
    const onProgress = options.onProgress ?? (() => {});
    const { stallMs } = this.serving;
    const pull = new Pull(id, blob, part, window, { send, pool, stallMs, signal, onProgress });
    this.pulls.set(id, { pull, fail: (reason) => failed.abort(unavailable(blob.sha256, reason)) });
    const startedMs = performance.now();
    try {
      await pull.run();
      this.received.record(missing, performance.now() - startedMs);
    } catch (error) {
      if (pull.inFlight > 0) this.late.set(id, pull.inFlight);
      if (!this.ended.signal.aborted)
        send({ type: 'blob.cancel', transfer: id, reason: describeError(error).slice(0, 500) });
      throw error;
    } finally {
      this.pulls.delete(id);
      pool.give(pull.taken);
    }
  }

  private serve(request: PullRequest): void {
    const { transfer, offset, bytes } = request;
    if (this.serves.has(transfer)) throw refusal('link/out-of-order', `Transfer ${transfer} already exists.`);
    if (offset >= bytes) throw refusal('link/invalid', `Transfer ${transfer} starts at ${offset} of ${bytes} bytes.`);
    if (this.serves.size >= MAX_SERVES) {
      this.deps.send({ type: 'blob.failed', transfer, reason: `more than ${MAX_SERVES} transfers at once` });
      return;
    }
    const serve = new Serve(request, this.serving);
    this.serves.set(transfer, serve);
    const startedMs = performance.now();
    void serve.run().finally(() => {
      this.serves.delete(transfer);
      this.sent.record(serve.sentBytes, performance.now() - startedMs);
    });
  }

  private dropLate(transfer: number, bytes: number): void {
    const left = (this.late.get(transfer) ?? 0) - bytes;
    if (left < 0) throw refusal('link/bad-frame', `No more bytes of transfer ${transfer} are expected.`);
    this.late.set(transfer, left);
  }
}

/** Opens the part to continue; one that is longer than the blob starts again from 0. */
async function openPart(blobs: LinkBlobs, blob: BlobRef): Promise<IncomingBlob> {
  const part = await blobs.openPart(blob.sha256);
  if (part.offset > blob.bytes) await part.discard();
  return part;
}

async function finish(part: IncomingBlob, blob: BlobRef): Promise<void> {
  try {
    await part.finish();
  } catch (cause) {
    if (errorCode(cause) !== 'blobs/hash-mismatch') throw cause;
    throw new AppError<LinkError>(
      { code: 'link/corrupt', sha256: blob.sha256 },
      `The bytes received as blob ${blob.sha256} have another hash.`,
      { cause },
    );
  }
}

function unavailable(sha256: string, reason: string): AppError<LinkError> {
  return new AppError<LinkError>(
    { code: 'link/unavailable', sha256, reason },
    `The other side cannot send blob ${sha256}: ${reason}.`,
  );
}
