/** Two ends of a socket in memory, as the link uses those of `ws`: a test decides what arrives, and when. */
import { EventEmitter } from 'node:events';
import type { LinkSocket } from '../../src/link/socket';

type OnWire = { data: Buffer; isBinary: boolean; arrived?: () => void } | { close: number; reason: Buffer };

/** A few frames are to fill the buffer of a sender, as many large ones do. */
const BUFFERED_PER_FRAME = 2 ** 20;

/** One end; what it sends waits in the other's `arriving`, and is buffered here until it arrives there. */
export class FakeSocket extends EventEmitter implements LinkSocket {
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;
  readyState = this.OPEN;
  private readonly buffered = new Set<(error?: Error) => void>();
  readonly arriving: OnWire[] = [];
  private other: FakeSocket = this;
  /** True when nothing gets through any more, which neither end notices by itself. */
  private isDead = false;

  /** Makes both ends of one socket. */
  static pair(): [FakeSocket, FakeSocket] {
    const [a, b] = [new FakeSocket(), new FakeSocket()];
    a.other = b;
    b.other = a;
    return [a, b];
  }

  get bufferedAmount(): number {
    return this.buffered.size * BUFFERED_PER_FRAME;
  }

  send(data: string | Buffer, done: (error?: Error) => void = () => {}): void {
    if (this.readyState !== this.OPEN) return done(new Error('the socket is not open'));
    const sent = (error?: Error) => {
      this.buffered.delete(sent);
      done(error);
    };
    this.buffered.add(sent);
    this.put({ data: Buffer.from(data), isBinary: typeof data !== 'string', arrived: sent });
  }

  close(close: number, reason: Buffer | string = ''): void {
    if (this.readyState !== this.OPEN) return;
    this.readyState = this.CLOSING;
    this.put({ close, reason: Buffer.from(reason) });
  }

  terminate(): void {
    this.put({ close: 1006, reason: Buffer.alloc(0) });
    this.becomeClosed(1006, Buffer.alloc(0));
  }

  /** Loses what is on its way, and whatever is sent from now on in either direction. */
  die(): void {
    for (const end of [this, this.other]) {
      end.isDead = true;
      end.arriving.length = 0;
    }
  }

  /** Has something arrive that the other end did not send, before all else or after it. */
  inject(data: Buffer, isFirst: boolean): void {
    const frame = { data, isBinary: false };
    if (isFirst) this.arriving.unshift(frame);
    else this.arriving.push(frame);
  }

  /** Lets the next frames arrive here; returns how many there were. */
  deliver(frames: number): number {
    const arrived = this.arriving.splice(0, frames);
    for (const frame of arrived) {
      if (this.readyState === this.CLOSED) break;
      if ('data' in frame) frame.arrived?.();
      if ('data' in frame) this.emit('message', frame.data, frame.isBinary);
      else this.onClose(frame);
    }
    return arrived.length;
  }

  private put(frame: OnWire): void {
    if (!this.isDead) this.other.arriving.push(frame);
  }

  private onClose({ close, reason }: { close: number; reason: Buffer }): void {
    if (this.readyState === this.OPEN && close !== 1006) this.put({ close, reason });
    this.becomeClosed(close, reason);
  }

  private becomeClosed(code: number, reason: Buffer): void {
    if (this.readyState === this.CLOSED) return;
    this.readyState = this.CLOSED;
    for (const sent of this.buffered) sent(new Error('the socket was closed'));
    this.emit('close', code, reason);
  }
}
