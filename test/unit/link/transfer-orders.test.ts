/** Transfers in thousands of orders of frames, cuts and cancellations: what arrives is whole. */
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { cut } from '../../../src/link/errors';
import { KeyedLock } from '../../../src/link/keyed-lock';
import type { LinkBlobs } from '../../../src/link/ports';
import { Transfers } from '../../../src/link/transfer';
import { Window } from '../../../src/link/window';
import { TRANSFER_WINDOW_BYTES, type TransferMessage } from '../../../src/protocol/link';
import { MemoryBlobs } from '../../support/memory-blobs';
import { playOrders } from '../../support/orders';
import { blobName } from '../../support/worker-messages';

const NAMES = ['a', 'b'];
const contents = new Map(NAMES.map((name, i) => [blobName(name), Buffer.alloc(350 * (i + 1), name)]));
const bytesOf = (name: string) => contents.get(blobName(name)) ?? Buffer.alloc(0);

type Wire = (Buffer | TransferMessage)[];

/** A sender, a receiver, and what is on its way between them. */
class Pair {
  readonly received = new MemoryBlobs(contents);
  private readonly stored = new MemoryBlobs(contents);
  /** Kept over connections, as a process keeps them. */
  private readonly shared = { pool: new Window(TRANSFER_WINDOW_BYTES), writers: new KeyedLock() };
  private wires = { toSender: [] as Wire, toReceiver: [] as Wire };
  private receiver: Transfers;
  private sender: Transfers;
  /** Bytes that went over all connections. */
  carried = 0;

  constructor() {
    for (const [name, bytes] of contents) this.stored.whole.set(name, bytes);
    [this.receiver, this.sender] = this.connect();
  }

  pull(name: string, signal?: AbortSignal): Promise<unknown> {
    const blob = { sha256: blobName(name), bytes: bytesOf(name).length };
    return this.receiver.pull(blob, { signal }).then(
      () => 'done',
      (error) => error,
    );
  }

  /** Lets the next frames of one way arrive. */
  async deliver(way: 'toSender' | 'toReceiver', frames: number): Promise<boolean> {
    const arriving = this.wires[way].splice(0, frames);
    for (const frame of arriving) {
      const end = way === 'toSender' ? this.sender : this.receiver;
      if (Buffer.isBuffer(frame)) {
        this.carried += frame.length;
        end.handleFrame(frame);
      } else end.handle(frame);
    }
    await settle();
    return arriving.length > 0;
  }

  async cut(): Promise<void> {
    const error = cut('the test cut it');
    this.receiver.end(error);
    this.sender.end(error);
    await settle();
    [this.receiver, this.sender] = this.connect();
  }

  async deliverAll(): Promise<void> {
    while ((await this.deliver('toSender', 1e9)) || (await this.deliver('toReceiver', 1e9)));
  }

  private connect(): [Transfers, Transfers] {
    const wires = { toSender: [] as Wire, toReceiver: [] as Wire };
    this.wires = wires;
    const end = (blobs: LinkBlobs, wire: Wire) =>
      new Transfers({
        blobs,
        ...this.shared,
        mayPull: () => true,
        pieceBytes: 100,
        send: (message) => void wire.push(message as TransferMessage),
        sendFrame: async (frame) => void wire.push(frame),
      });
    return [end(this.received, wires.toSender), end(this.stored, wires.toReceiver)];
  }
}

/** Until neither side can go on by itself. */
async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await turn();
}

const step = fc.record({
  act: fc.constantFrom('pull' as const, 'cancel' as const, 'cut' as const, 'toSender' as const, 'toReceiver' as const),
  name: fc.constantFrom(...NAMES),
  frames: fc.integer({ min: 1, max: 4 }),
});

test('steps in any order: every blob arrives whole in the end, resumed where it was', () =>
  playOrders(step, 12, async (steps) => {
    const pair = new Pair();
    const pulls = new Map(NAMES.map((name) => [name, new AbortController()]));
    for (const { act, name, frames } of steps) {
      if (act === 'cut') await pair.cut();
      else if (act === 'pull') void pair.pull(name, pulls.get(name)?.signal);
      else if (act === 'cancel') {
        pulls.get(name)?.abort(new Error('The test canceled it.'));
        pulls.set(name, new AbortController());
      } else await pair.deliver(act, frames);
    }
    // Whatever happened before: pulled again over a connection that stays, everything arrives.
    const outcomes = NAMES.map((name) => pair.pull(name));
    await settle();
    await pair.deliverAll();
    expect(await Promise.all(outcomes)).toEqual(NAMES.map(() => 'done'));
    // A comparison by Jest of so many bytes takes longer than all the rest.
    const differing = NAMES.filter((name) => !pair.received.whole.get(blobName(name))?.equals(bytesOf(name)));
    expect(differing).toEqual([]);
    // A frame is carried again only after a cut or cancellation, which costs at most what was on its way.
    const stops = steps.filter(({ act }) => act === 'cut' || act === 'cancel').length;
    const once = [...contents.values()].reduce((sum, bytes) => sum + 2 * bytes.length, 0);
    expect(pair.carried).toBeLessThanOrEqual((1 + stops) * once);
  }));
