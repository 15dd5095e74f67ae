/** How a receiver grants: within one pool for all its transfers, and only what it has room for. */
import { setImmediate as turn } from 'node:timers/promises';
import { chunkFrame } from '../../../src/link/frames';
import { KeyedLock } from '../../../src/link/keyed-lock';
import type { IncomingBlob, LinkBlobs } from '../../../src/link/ports';
import { Transfers } from '../../../src/link/transfer';
import { Window } from '../../../src/link/window';
import { CHUNK_BYTES, type TransferMessageIn } from '../../../src/protocol/link';
import { blobName } from '../../support/worker-messages';

const MIB = 2 ** 20;
const BYTES = 16 * MIB;

/** A disk that takes nothing until it is told to. */
class SlowDisk implements LinkBlobs {
  private waiting: (() => void)[] = [];
  /** How many pieces came with each write. */
  readonly writes: number[] = [];
  isSlow = true;

  stat = async () => undefined;
  openReader = () => Promise.reject(new Error('not reached'));
  openPart = async (): Promise<IncomingBlob> => {
    let offset = 0;
    return {
      get offset() {
        return offset;
      },
      append: async (pieces) => {
        this.writes.push(pieces.length);
        if (this.isSlow) await new Promise<void>((resolve) => this.waiting.push(resolve));
        for (const piece of pieces) offset += piece.length;
      },
      finish: async () => undefined,
      discard: async () => undefined,
      close: async () => undefined,
    };
  };

  work(): void {
    this.isSlow = false;
    for (const go of this.waiting.splice(0)) go();
  }
}

/** One socket of a receiver; the test is the sender. */
function openReceiver(pool: Window, disk: SlowDisk, stallMs = 60_000) {
  const messages: TransferMessageIn[] = [];
  const transfers = new Transfers({
    mayPull: () => true,
    blobs: disk,
    pool,
    stallMs,
    writers: new KeyedLock(),
    send: (message) => void messages.push(message),
    sendFrame: () => Promise.resolve(),
  });
  let sent = 0;
  const granted = () =>
    messages.reduce((sum, message) => {
      if (message.type === 'blob.pull') return sum + message.window;
      return message.type === 'blob.window' ? sum + message.bytes : sum;
    }, 0);
  return {
    transfers,
    messages,
    granted,
    pull: (signal?: AbortSignal) => transfers.pull({ sha256: blobName('a'), bytes: BYTES }, { signal }),
    /** Sends all that is granted, and no more than the blob has. */
    sendGranted() {
      for (const most = Math.min(BYTES, granted()); sent < most; ) {
        const bytes = Math.min(CHUNK_BYTES, most - sent);
        const { frame } = chunkFrame(1, sent, bytes);
        transfers.handleFrame(frame);
        sent += bytes;
      }
      return sent;
    },
  };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await turn();
}

test('56 uploads to a disk that stands still: all begin, within the pool', async () => {
  const disk = new SlowDisk();
  const pool = new Window(64 * MIB);
  const receivers = Array.from({ length: 56 }, () => openReceiver(pool, disk));
  const pulls = receivers.map((receiver) => receiver.pull());
  await settle();
  for (let round = 0; round < 5; round += 1) {
    for (const receiver of receivers) receiver.sendGranted();
    await settle();
  }
  const windows = receivers.map((receiver) => receiver.granted());
  expect(windows.every((window) => window >= MIB / 4)).toBe(true);
  expect(windows.reduce((sum, window) => sum + window, 0)).toBeLessThanOrEqual(64 * MIB);
  disk.work();
  while (receivers.some((receiver) => receiver.sendGranted() < BYTES)) await turn();
  await Promise.all(pulls);
});

test('others are done: a transfer gets what they had', async () => {
  const [disk, pool, stop] = [new SlowDisk(), new Window(64 * MIB), new AbortController()];
  const others = Array.from({ length: 46 }, () => openReceiver(pool, disk));
  const ended = others.map((other) => other.pull(stop.signal).catch(() => undefined));
  await settle();
  const last = openReceiver(pool, disk);
  const pull = last.pull();
  await settle();
  expect(last.granted()).toBe(MIB / 4);
  stop.abort(new Error('not wanted'));
  await Promise.all(ended);
  disk.work();
  while (last.sendGranted() < BYTES) await turn();
  await pull;
  const grants = last.messages.map((message) => (message.type === 'blob.window' ? message.bytes : 0));
  expect(Math.max(...grants)).toBeGreaterThan(3 * MIB);
  expect(pool.takeNow(100 * MIB)).toBe(64 * MIB);
});

test('chunks that arrive during a write: they are written together', async () => {
  const disk = new SlowDisk();
  const receiver = openReceiver(new Window(128 * MIB), disk);
  const pull = receiver.pull();
  await settle();
  receiver.sendGranted();
  await settle();
  expect(disk.writes).toEqual([16]);
  disk.work();
  while (receiver.sendGranted() < BYTES) await turn();
  await pull;
  expect(disk.writes.length).toBeLessThan(BYTES / CHUNK_BYTES);
});

test('no chunk any more: the transfer fails, and its window goes back', async () => {
  const pool = new Window(8 * MIB);
  const receiver = openReceiver(pool, new SlowDisk(), 20);
  await expect(receiver.pull()).rejects.toMatchObject({ code: 'link/stalled' });
  expect(receiver.messages.map(({ type }) => type)).toEqual(['blob.pull', 'blob.cancel']);
  expect(pool.takeNow(100 * MIB)).toBe(8 * MIB);
});

test('disk slower than a stall may last: no fault of the sender', async () => {
  const disk = new SlowDisk();
  const receiver = openReceiver(new Window(8 * MIB), disk, 500);
  const pull = receiver.pull();
  await settle();
  receiver.sendGranted();
  await new Promise((resolve) => setTimeout(resolve, 700));
  disk.work();
  while (receiver.sendGranted() < BYTES) await turn();
  await pull;
});
