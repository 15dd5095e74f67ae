/** What a receiver that does not do its part can hold: nothing for long, and little meanwhile. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Sha256 } from '../../../src/domain/ids';
import { KeyedLock } from '../../../src/link/keyed-lock';
import type { LinkBlobs } from '../../../src/link/ports';
import { Transfers } from '../../../src/link/transfer';
import { Window } from '../../../src/link/window';
import type { TransferMessageIn } from '../../../src/protocol/link';
import { blobName } from '../../support/worker-messages';

const BYTES = 1000;
const name = blobName('a');

/** The sender of one blob, whose receiver is the test. */
function openSender(options: { stallMs?: number; mayPull?: (sha256: Sha256) => boolean | Promise<boolean> } = {}) {
  const seen = { open: 0, read: 0, stats: 0, isBlocked: false };
  const messages: TransferMessageIn[] = [];
  const frames: Buffer[] = [];
  const blobs: LinkBlobs = {
    stat: async (sha256) => {
      seen.stats += 1;
      return sha256 === name ? { bytes: BYTES } : undefined;
    },
    openReader: async () => {
      seen.open += 1;
      return {
        read: async (into) => {
          seen.read += into.length;
          return into.length;
        },
        close: async () => {
          seen.open -= 1;
        },
      };
    },
    openPart: () => Promise.reject(new Error('not reached')),
  };
  const transfers = new Transfers({
    mayPull: () => true,
    ...options,
    blobs,
    pool: new Window(0),
    writers: new KeyedLock(),
    send: (message) => void messages.push(message),
    sendFrame: (frame) => {
      frames.push(frame);
      return seen.isBlocked ? new Promise(() => undefined) : Promise.resolve();
    },
  });
  const pull = (transfer: number, window: number, sha256 = name) =>
    transfers.handle({ type: 'blob.pull', transfer, sha256, bytes: BYTES, offset: 0, window });
  const grant = (transfer: number, bytes: number) => transfers.handle({ type: 'blob.window', transfer, bytes });
  const failed = () => messages.flatMap((message) => (message.type === 'blob.failed' ? [message.reason] : []));
  return { seen, frames, transfers, pull, grant, failed };
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await turn();
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await turn();
}

test('window of ten bytes: no more is read until more is granted', async () => {
  const sender = openSender();
  sender.pull(1, 10);
  await settle();
  expect(sender.seen.read).toBe(10);
  sender.grant(1, 7);
  await settle();
  expect(sender.seen.read).toBe(17);
  sender.grant(1, BYTES);
  await until(() => sender.seen.open === 0);
  expect(sender.seen.read).toBe(BYTES);
});

test('nothing is granted any more: the transfer ends, and its file is closed', async () => {
  const sender = openSender({ stallMs: 20 });
  sender.pull(1, 10);
  await until(() => sender.failed().length > 0);
  expect(sender.failed()).toEqual(['nothing moved for 20 ms']);
  expect(sender.seen).toMatchObject({ open: 0, read: 10 });
});

test('granted, but not read: the transfer ends too', async () => {
  const sender = openSender({ stallMs: 20 });
  sender.seen.isBlocked = true;
  sender.pull(1, BYTES);
  await until(() => sender.failed().length > 0);
  expect(sender.seen.open).toBe(0);
});

test('64 pulls at once: four are served, the others in their turn', async () => {
  const sender = openSender();
  for (let transfer = 1; transfer <= 64; transfer += 1) sender.pull(transfer, 1);
  await settle();
  expect(sender.seen.open).toBe(4);
  sender.grant(1, BYTES);
  sender.transfers.handle({ type: 'blob.cancel', transfer: 2, reason: 'not wanted' });
  await until(() => sender.frames.length >= 7);
  expect(sender.seen.open).toBe(4);
  for (let transfer = 3; transfer <= 64; transfer += 1) sender.grant(transfer, BYTES);
  await until(() => sender.seen.open === 0);
  expect(sender.failed()).toEqual([]);
});

test('65th pull: refused, the others go on', async () => {
  const sender = openSender();
  for (let transfer = 1; transfer <= 65; transfer += 1) sender.pull(transfer, BYTES);
  expect(sender.failed()).toEqual(['more than 64 transfers at once']);
  await until(() => sender.seen.read === 64 * BYTES);
});

test('canceled before its turn: it is never opened', async () => {
  const sender = openSender();
  for (let transfer = 1; transfer <= 5; transfer += 1) sender.pull(transfer, 1);
  sender.transfers.handle({ type: 'blob.cancel', transfer: 5, reason: 'not wanted' });
  for (let transfer = 1; transfer <= 4; transfer += 1) sender.grant(transfer, BYTES);
  await until(() => sender.seen.open === 0 && sender.seen.read === 4 * BYTES);
  await settle();
  expect(sender.seen.read).toBe(4 * BYTES);
});

test('blob that was not named: answered like one that is not there, unseen', async () => {
  const sender = openSender({ mayPull: async (sha256) => sha256 !== name });
  sender.pull(1, BYTES);
  await until(() => sender.failed().length > 0);
  expect(sender.seen.stats).toBe(0);
  sender.pull(2, BYTES, blobName('b'));
  await until(() => sender.failed().length > 1);
  expect(new Set(sender.failed()).size).toBe(1);
});
