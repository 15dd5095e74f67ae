import type { RawData, WebSocket } from 'ws';
import type { z } from 'zod';
import { AppError } from '../lib/errors';
import { CHUNK_BYTES, SUBPROTOCOL } from '../protocol/link';
import { cut, refusal } from './errors';
import { checkSize, parseMessage } from './text';

/** How both sides set up ws: frames are bounded before they are read, and fragments cost memory. */
export const SOCKET_OPTIONS = {
  maxPayload: 2 * CHUNK_BYTES,
  maxFragments: 64,
  perMessageDeflate: false,
} as const;

/** How long the other side may take to answer our close. */
const CLOSE_MS = 1_000;

export interface Frame {
  data: Buffer;
  isBinary: boolean;
}

/** True when the header of an upgrade request names our subprotocol. */
export function offersSubprotocol(header: string | undefined): boolean {
  return (header ?? '').split(',').some((name) => name.trim() === SUBPROTOCOL);
}

/** Closes for sure: politely, and by force when the other side does not answer. */
export function hangUp(socket: WebSocket, code: number, reason: string): void {
  // A close reason may have 123 bytes; what matters was said in a message before.
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

export function whenClosed(socket: WebSocket, go: () => void): void {
  if (socket.readyState === socket.CLOSED) go();
  else socket.once('close', go);
}

/** Tells a client why it is not let in, then closes. */
export function sendRefusal(socket: WebSocket, error: unknown): void {
  const code = error instanceof AppError ? error.code : 'link/malformed';
  const reason = error instanceof AppError ? error.message.slice(0, 500) : 'The handshake failed.';
  socket.send(JSON.stringify({ type: 'refused', code, reason }), () => {});
  hangUp(socket, code === 'link/oversized' ? 1009 : 1008, reason);
}

/** The frames of a socket one by one, until its session takes over. */
export class Greeting {
  private readonly frames: Frame[] = [];
  private wake: () => void = () => {};
  private ended: unknown;

  constructor(
    private readonly socket: WebSocket,
    private readonly signal: AbortSignal,
  ) {
    socket.on('message', this.onMessage);
    socket.on('close', this.onClose);
    signal.addEventListener('abort', this.onAbort, { once: true });
    if (signal.aborted) this.onAbort();
  }

  /** The next frame, which must be one of these messages. Throws `link/…`, or the signal's reason. */
  async next<T extends z.ZodType>(schema: T): Promise<z.output<T>> {
    while (this.frames.length === 0) {
      if (this.ended) throw this.ended;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const frame = this.frames.shift() as Frame;
    if (frame.isBinary) throw refusal('link/malformed', 'A binary frame came where the handshake stands.');
    checkSize(frame.data.length);
    return parseMessage(schema, frame.data.toString());
  }

  /** Stops listening; gives the frames that came after the handshake. */
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
