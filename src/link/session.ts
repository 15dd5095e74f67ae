/** A socket after the handshake, the same on both sides: framing, heartbeats, limits, transfers. */
import type { RawData } from 'ws';
import type { z } from 'zod';
import { AppError, describeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { BlobRef } from '../protocol/blob-ref';
import type { TransferMessage, TransferMessageIn } from '../protocol/link';
import type { Beats } from './beats';
import { cut, type LinkError, refusal } from './errors';
import type { KeyedLock } from './keyed-lock';
import type { LinkBlobs, PullOptions } from './ports';
import { Opener, Sealer } from './seal';
import { type Frame, hangUp, type LinkSocket } from './socket';
import { checkSize, parseMessage } from './text';
import { type Traffic, TrafficMeter } from './traffic';
import { type TransferDeps, Transfers } from './transfer';
import type { Window } from './window';

/** Heartbeats without any frame received after which the other side counts as gone. */
const MISSED_BEATS = 3;
/** The close code of a connection that broke off. */
const BROKEN_OFF = 1006;
/** Proxies that end silent connections wait for at least this long. */
const LEAST_TIMEOUT_MS = 900;
/** Chunks wait while more than this is buffered in the socket. */
const SEND_BUFFER_BYTES = 1024 * 1024;
/** A peer that leaves this much unread is disconnected: messages, unlike chunks, cannot wait. */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;
/** More is a flood. The fastest transfers cause 2,000 window messages per second; those bound the chunks. */
const MESSAGES_PER_SECOND = 5_000;

/** What the sessions of a process share. */
export interface SessionRules<In> {
  /** Messages the other side may send. */
  schema: z.ZodType<In>;
  heartbeatMs: number;
  beats: Beats;
  /** Milliseconds that a transfer may stand still. */
  stallMs: number;
  blobs: LinkBlobs;
  pool: Window;
  writers: KeyedLock;
}

/** Whoever a session belongs to: what it says for it, and hears of it. */
export interface SessionHost<In, Out> {
  readonly logger: Logger;
  /** Returns the message sent at every heartbeat; a side without one only listens. */
  beat?(): Out;
  /** Returns the last message before hanging up because of a fault of the other side. */
  farewell(code: string, reason: string): Out;
  mayPull: TransferDeps['mayPull'];
  /** Receives every message that is not about a transfer. */
  onMessage(message: In): void;
  /** Called once, whichever side ended the session. */
  onEnd(reason: string): void;
}

/** A transfer that there never was carried nothing. */
const noTraffic = { sent: new TrafficMeter(), received: new TrafficMeter() };

/**
 * One authenticated connection. Checks every message, notices silence, and moves blobs beside the messages. A
 * master has thousands of them that do nothing: what only some need is made when they need it.
 */
export class Session<In extends { type: string }, Out extends { type: string }> {
  private used: Transfers | undefined;
  private readonly sealer: Sealer;
  private readonly opener: Opener;
  private readonly stopBeats: () => void;
  private readonly startedMs = performance.now();
  private missed = 0;
  private messages = 0;
  /** Why the session is over. */
  private over: AppError<LinkError> | undefined;
  /** Asked whether the other side is there; told by its next frame, or by the end. */
  private asking: Set<(isThere: boolean) => void> | undefined;

  constructor(
    private readonly socket: LinkSocket,
    keys: { incoming: Buffer; outgoing: Buffer },
    private readonly rules: SessionRules<In>,
    private readonly host: SessionHost<In, Out>,
  ) {
    this.sealer = new Sealer(keys.outgoing);
    this.opener = new Opener(keys.incoming);
    this.stopBeats = rules.beats.add(this);
    socket.on('message', (data: RawData, isBinary) => this.onFrame({ data: data as Buffer, isBinary }));
    socket.on('close', (code, reason) => this.end(reason.toString() || this.describeClose(code)));
  }

  /** Handles frames that arrived while the handshake was being finished. */
  replay(frames: readonly Frame[]): void {
    for (const frame of frames) this.onFrame(frame);
  }

  /** Returns false when the session is over. */
  send(message: Out): boolean {
    return this.sendText(message);
  }

  /** What blobs took on this socket, in each direction. */
  get traffic(): { sent: Traffic; received: Traffic } {
    return this.used ?? noTraffic;
  }

  pull(blob: BlobRef, options: PullOptions = {}): Promise<void> {
    return this.over ? Promise.reject(this.over) : this.transfers.pull(blob, options);
  }

  /** Sends a heartbeat; returns whether anything arrives from the other side within the time. */
  answers(withinMs: number): Promise<boolean> {
    const beat = this.host.beat?.();
    if (!beat || !this.send(beat)) return Promise.resolve(false);
    this.asking ??= new Set();
    const { asking } = this;
    return new Promise((resolve) => {
      const told = (isThere: boolean) => {
        clearTimeout(timer);
        asking.delete(told);
        resolve(isThere);
      };
      const timer = setTimeout(() => told(false), withinMs);
      asking.add(told);
    });
  }

  /** Hangs up; transfers in flight fail with `link/cut`. */
  close(reason: string, code = 1000): void {
    if (this.over) return;
    hangUp(this.socket, code, reason);
    this.end(reason);
  }

  /** Sends the other side the reason and hangs up. */
  refuse(error: AppError): void {
    this.send(this.host.farewell(error.code, error.message.slice(0, 500)));
    this.close(error.message, error.code === 'link/oversized' ? 1009 : 1008);
  }

  private get transfers(): Transfers {
    this.used ??= new Transfers({
      ...this.rules,
      mayPull: (sha256) => this.host.mayPull(sha256),
      send: (message) => void this.sendText(message),
      sendFrame: (frame) => this.sendFrame(frame),
    });
    return this.used;
  }

  private onFrame(frame: Frame): void {
    if (this.over) return;
    this.missed = 0;
    for (const told of this.asking ?? []) told(true);
    try {
      if (frame.isBinary) this.transfers.handleFrame(frame.data);
      else this.onText(frame.data);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.host.logger.warn('Refused a frame', { type: frame.isBinary ? 'chunk' : 'message' }, error);
      this.refuse(error);
    }
  }

  private onText(data: Buffer): void {
    checkSize(data.length);
    const perBeat = Math.ceil((MESSAGES_PER_SECOND * this.rules.heartbeatMs) / 1000);
    if (++this.messages > perBeat + MESSAGES_PER_SECOND) throw refusal('link/flood', 'Too many messages.');
    const text = this.opener.open(data.toString());
    if (text === undefined) throw refusal('link/bad-seal', 'The message was changed, repeated or lost in transit.');
    const message = parseMessage(this.rules.schema, text);
    if (isTransfer(message)) this.transfers.handle(message);
    else this.handOver(message);
  }

  /** An error in this side's own handling of a message must end neither the socket nor the process. */
  private handOver(message: In): void {
    try {
      this.host.onMessage(message);
    } catch (error) {
      this.host.logger.error('A message could not be handled', { type: message.type }, error);
    }
  }

  onBeat(): void {
    this.messages = 0;
    if (++this.missed > MISSED_BEATS) {
      this.socket.terminate();
      this.end(`nothing received for ${MISSED_BEATS} heartbeats of ${this.rules.heartbeatMs} ms`);
      return;
    }
    const beat = this.host.beat?.();
    if (beat) this.send(beat);
  }

  /** Returns what may be behind a close without a reason. */
  private describeClose(code: number): string {
    const { heartbeatMs } = this.rules;
    const lastedMs = performance.now() - this.startedMs;
    if (code !== BROKEN_OFF || lastedMs < LEAST_TIMEOUT_MS || lastedMs > heartbeatMs) return `closed with ${code}`;
    return `closed with ${code} before the first heartbeat of ${heartbeatMs} ms; a proxy between may end what is silent for less`;
  }

  private sendText(message: Out | TransferMessageIn): boolean {
    const { socket } = this;
    if (this.over || socket.readyState !== socket.OPEN) return false;
    if (socket.bufferedAmount > MAX_BUFFERED_BYTES) {
      socket.terminate();
      this.end('the other side is not reading');
      return false;
    }
    socket.send(this.sealer.seal(JSON.stringify(message)), () => {});
    return true;
  }

  private async sendFrame(frame: Buffer): Promise<void> {
    const { socket } = this;
    if (this.over) throw this.over;
    const sent = new Promise<void>((resolve, reject) => {
      socket.send(frame, (error) => (error ? reject(cut(describeError(error), error)) : resolve()));
    });
    if (socket.bufferedAmount > SEND_BUFFER_BYTES) await sent;
    else sent.catch(() => {}); // a failure closes the socket, which ends the session
  }

  private end(reason: string): void {
    if (this.over) return;
    this.over = cut(reason);
    this.stopBeats();
    for (const told of this.asking ?? []) told(false);
    this.used?.end(this.over);
    this.host.onEnd(reason);
  }
}

function isTransfer(message: { type: string }): message is TransferMessage {
  return message.type.startsWith('blob.');
}
