/** What both sides do with a bare socket: options, the frames of the handshake, closing. */
import type { RawData } from 'ws';
import type { z } from 'zod';
import { AppError } from '../lib/errors';
import { CHUNK_BYTES, SUBPROTOCOL } from '../protocol/link';
import { cut, refusal } from './errors';
import { checkSize, parseMessage } from './text';

/** Options of ws on both sides; they bound frames and fragments before anything is read. */
export const SOCKET_OPTIONS = {
  maxPayload: 2 * CHUNK_BYTES,
  maxFragments: 64,
  perMessageDeflate: false,
} as const;

/** How long the other side may take to answer a close before the socket is terminated. */
const CLOSE_MS = 1_000;

/** What the link uses of a socket of `ws`. */
export interface LinkSocket {
  readonly OPEN: number;
  readonly CLOSED: number;
  readonly readyState: number;
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
  send(data: string | Buffer, sent?: (error?: Error) => void): void;
  close(code: number, reason: string): void;
  terminate(): void;
  on(event: 'message', listener: OnFrame): void;
  on(event: 'close', listener: OnClosed): void;
  once(event: 'close', listener: OnClosed): void;
  off(event: 'message', listener: OnFrame): void;
  off(event: 'close', listener: OnClosed): void;
}
type OnFrame = (data: RawData, isBinary: boolean) => void;
type OnClosed = (code: number, reason: Buffer) => void;

export interface Frame {
  data: Buffer;
  isBinary: boolean;
}

/** Whether the header of an upgrade request names this protocol. */
export function offersSubprotocol(header: string | undefined): boolean {
  return (header ?? '').split(',').some((name) => name.trim() === SUBPROTOCOL);
}

/** Closes the socket, by force if the other side does not answer the close. */
export function hangUp(socket: LinkSocket, code: number, reason: string): void {
  // A close reason holds at most 123 bytes; the full reason was sent as a message before.
  socket.close(
    code,
    Buffer.from(reason)
      .subarray(0, 100)
      .toString()
      .replace(/\uFFFD/g, ''),
  );
  const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
  socket.once('close', () => clearTimeout(timer));
}

export function whenClosed(socket: LinkSocket, go: () => void): void {
  if (socket.readyState === socket.CLOSED) go();
  else socket.once('close', go);
}

/** Sends the client the reason of its refusal, then closes. */
export function sendRefusal(socket: LinkSocket, error: unknown): void {
  const code = error instanceof AppError ? error.code : 'link/malformed';
  const reason = error instanceof AppError ? error.message.slice(0, 500) : 'The handshake failed.';
  socket.send(JSON.stringify({ type: 'refused', code, reason }), () => {});
  hangUp(socket, code === 'link/oversized' ? 1009 : 1008, reason);
}

/** Reads the frames of a socket one by one until its session takes over. */
export class Greeting {
  private readonly frames: Frame[] = [];
  private wake: () => void = () => {};
  private ended: unknown;

  constructor(
    private readonly socket: LinkSocket,
    private readonly signal: AbortSignal,
  ) {
    socket.on('message', this.onMessage);
    socket.on('close', this.onClose);
    signal.addEventListener('abort', this.onAbort, { once: true });
    if (signal.aborted) this.onAbort();
  }

  /** Returns the next frame as a message of the schema. Throws `link/…`, or the signal's reason. */
  async next<T extends z.ZodType>(schema: T): Promise<z.output<T>> {
    while (this.frames.length === 0) {
      this.throwIfOver();
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const frame = this.frames.shift() as Frame;
    if (frame.isBinary) throw refusal('link/malformed', 'A binary frame arrived during the handshake.');
    checkSize(frame.data.length);
    return parseMessage(schema, frame.data.toString());
  }

  /** Throws the reason if the socket was closed or the signal aborted while nobody waited for a frame. */
  throwIfOver(): void {
    if (this.ended) throw this.ended;
  }

  /** Stops listening and returns the frames that arrived after the handshake. */
  end(): Frame[] {
    this.socket.off('message', this.onMessage);
    this.socket.off('close', this.onClose);
    this.signal.removeEventListener('abort', this.onAbort);
    return this.frames;
  }

  private readonly onMessage = (data: RawData, isBinary: boolean) => {
    this.frames.push({ data: data as Buffer, isBinary });
    this.wake();
  };
  private readonly onClose = (code: number, reason: Buffer) =>
    this.stop(cut(reason.toString() || `closed with ${code}`));
  private readonly onAbort = () => this.stop(this.signal.reason);

  private stop(error: unknown): void {
    this.ended ??= error;
    this.wake();
  }
}
