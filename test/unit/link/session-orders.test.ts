/** Sessions in thousands of orders of frames, silence, closings and reconnects: each ends once, wholly. */
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Address } from '../../../src/domain/ids';
import { sha256 } from '../../../src/lib/hash';
import { silentLogger } from '../../../src/lib/logger';
import { Beats } from '../../../src/link/beats';
import { type Peer, WorkerGate } from '../../../src/link/gate';
import { signHello, type UnsignedHello } from '../../../src/link/handshake';
import { KeyedLock } from '../../../src/link/keyed-lock';
import type { LinkWallet, RecoverTyped } from '../../../src/link/ports';
import { ephemeralKey } from '../../../src/link/seal';
import { Session } from '../../../src/link/session';
import { Greeting } from '../../../src/link/socket';
import { Window } from '../../../src/link/window';
import { MasterMessage, type WorkerMessageIn } from '../../../src/protocol/link';
import { FakeSocket } from '../../support/fake-socket';
import { OFFER } from '../../support/link-pair';
import { MemoryBlobs } from '../../support/memory-blobs';
import { playOrders } from '../../support/orders';
import { blobName } from '../../support/worker-messages';

const HEARTBEAT_MS = 1000;
const ANSWER_MS = 2000;
/** After these a socket that was hung up is terminated. */
const CLOSE_BEATS = 1;
const STALL_MS = 10_000;
const POOL_BYTES = 2 ** 20;
const CHAIN_ID = 1;
const never = new AbortController().signal;

/** One blob lies at the master, one at the worker. */
const contents = new Map(['a', 'b'].map((name) => [blobName(name), Buffer.alloc(500, name)] as const));
const blob = (name: string) => ({ sha256: blobName(name), bytes: 500 });

const walletOf = (digit: string): LinkWallet => {
  const address = Address.parse(`0x${digit.repeat(40)}`);
  return { address, signTyped: async (_domain, _types, value) => sign(address, value) };
};
const [masterWallet, workerWallet] = [walletOf('1'), walletOf('2')];

/** Real signatures would take longer than all the rest. */
const sign = (address: string, value: object) => `0x${sha256(address + JSON.stringify(value)).padEnd(130, '0')}`;
const recoverTyped: RecoverTyped = (_chainId, _domain, _types, value, signature) =>
  [masterWallet, workerWallet].find(({ address }) => sign(address, value) === signature)?.address;

type WorkerSession = Session<MasterMessage, WorkerMessageIn>;

/** A connection: both ends of its socket, and the worker's session once it was welcomed. */
interface Link {
  master: FakeSocket;
  worker: FakeSocket;
  session?: WorkerSession;
  isOver: boolean;
}

/** A master and a worker, and all connections that there ever were between them. */
class World {
  readonly links: Link[] = [];
  /** What must not happen, and did. */
  readonly faults: string[] = [];
  private readonly pulls: { isSettled: boolean }[] = [];
  private readonly ended = new Set<Peer>();
  private nowMs = 1_000_000;
  private readonly atMaster = new MemoryBlobs(contents);
  private readonly atWorker = new MemoryBlobs(contents);
  private readonly pool = new Window(POOL_BYTES);
  private readonly writers = new KeyedLock();
  private readonly beats = new Beats(HEARTBEAT_MS);
  private readonly gate: WorkerGate;
  private readonly masterBytes: number;
  private readonly peers: Peer[] = [];
  private peer: Peer | undefined;
  private isClosed = false;
  private canceled = new AbortController();

  constructor() {
    this.atMaster.whole.set(blobName('a'), contents.get(blobName('a')) as Buffer);
    this.atWorker.whole.set(blobName('b'), contents.get(blobName('b')) as Buffer);
    this.gate = new WorkerGate(
      { chainId: CHAIN_ID, version: '0.1.0', heartbeatMs: HEARTBEAT_MS, answerMs: ANSWER_MS, stallMs: STALL_MS },
      {
        wallet: masterWallet,
        recoverTyped,
        blobs: this.atMaster,
        isBlocked: async () => false,
        mayPull: async () => true,
        handlers: {
          onConnect: (peer) => this.onConnect(peer),
          onMessage: (peer) => this.require(!this.ended.has(peer), 'a message came after the end'),
          onClose: (peer) => this.onClose(peer),
        },
        logger: silentLogger,
        clock: { now: () => this.nowMs, sleep: async () => undefined },
      },
    );
    this.masterBytes = availableIn(this.gate.rules.pool);
  }

  dial(): void {
    const [master, worker] = FakeSocket.pair();
    const link: Link = { master, worker, isOver: false };
    this.links.push(link);
    void this.gate.admit(master, 'nowhere');
    this.greet(link).catch(() => {
      link.isOver = true;
      worker.terminate();
    });
  }

  /** The worker's handshake, and its session afterwards, as `client.ts` has it. */
  private async greet(link: Link): Promise<void> {
    const socket = link.worker;
    const greeting = new Greeting(socket, new AbortController().signal);
    const challenge = await greeting.next(MasterMessage);
    if (challenge.type !== 'challenge') throw new Error(challenge.type);
    const key = ephemeralKey();
    const offer = { ...OFFER, version: '0.1.0' };
    const nonce = `0x${'3'.repeat(64)}` as const;
    const unsigned: UnsignedHello = { type: 'hello', worker: workerWallet.address, nonce, key: key.publicKey, offer };
    socket.send(JSON.stringify(await signHello(workerWallet, challenge, unsigned)));
    const welcome = await greeting.next(MasterMessage);
    if (welcome.type !== 'welcome') throw new Error(welcome.type);
    const keys = key.agree(challenge.key, { master: challenge.nonce, worker: nonce });
    greeting.throwIfOver();
    const frames = greeting.end();
    const { atWorker: blobs, pool, writers } = this;
    const session: WorkerSession = new Session(
      socket,
      { incoming: keys.toWorker, outgoing: keys.toMaster },
      { schema: MasterMessage, heartbeatMs: HEARTBEAT_MS, beats: this.beats, stallMs: STALL_MS, blobs, pool, writers },
      {
        logger: silentLogger,
        mayPull: () => true,
        farewell: (code, reason) => ({ type: 'bye', reason: `${code}: ${reason}` }),
        onMessage: (message) => {
          this.require(!link.isOver, 'a message came to the worker after the end');
          if (message.type === 'ping') session.send({ type: 'pong', atMs: message.atMs });
          if (message.type === 'refused') session.close(message.reason);
        },
        onEnd: () => {
          this.require(!link.isOver, 'the worker heard of the end twice');
          link.isOver = true;
        },
      },
    );
    link.session = session;
    session.replay(frames);
  }

  private onConnect(peer: Peer): void {
    this.require(!this.peer, 'two connections of one worker');
    this.require(!this.isClosed, 'a worker connected to a master that is stopping');
    this.peer = peer;
    this.peers.push(peer);
  }

  private onClose(peer: Peer): void {
    this.require(this.peer === peer && !this.ended.has(peer), 'the master heard of an end twice');
    this.ended.add(peer);
    this.peer = undefined;
  }

  private require(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(fault);
  }

  close(): void {
    this.isClosed = true;
    this.gate.close();
  }

  closeByMaster(): void {
    this.peer?.close('The test closes it.');
  }

  /** Pulls at one end of a connection that may be over. */
  pull(end: 'master' | 'worker', place: number): void {
    const puller = end === 'master' ? this.peers.at(place) : this.links.at(place)?.session;
    if (!puller) return;
    const pull = { isSettled: false };
    this.pulls.push(pull);
    const settle = () => {
      pull.isSettled = true;
    };
    puller.pull(blob(end === 'master' ? 'b' : 'a'), { signal: this.canceled.signal }).then(settle, settle);
  }

  cancel(): void {
    this.canceled.abort(new Error('The test canceled it.'));
    this.canceled = new AbortController();
  }

  async pass(beats: number): Promise<void> {
    for (let beat = 0; beat < beats; beat++) {
      this.nowMs += HEARTBEAT_MS;
      jest.advanceTimersByTime(HEARTBEAT_MS);
      await settled();
    }
  }

  async deliverAll(): Promise<void> {
    for (let isMoving = true; isMoving; ) {
      isMoving = false;
      for (const { master, worker } of this.links)
        for (const end of [master, worker]) if (end.deliver(1000) > 0) isMoving = true;
      await settled();
    }
  }

  /** Lists what is open although no socket is any more. */
  async leftovers(): Promise<string[]> {
    const isLocked = async (locks: KeyedLock) => {
      const free: string[] = [];
      for (const name of contents.keys()) void locks.run(name, never, async () => free.push(name));
      await settled();
      return free.length < contents.size;
    };
    const { pool, writers } = this.gate.rules;
    const left: [string, boolean][] = [
      ['connection', this.peer !== undefined || this.gate.peers.size > 0],
      ['session of a worker', this.links.some(({ session, isOver }) => session && !isOver)],
      ['pull', this.pulls.some(({ isSettled }) => !isSettled)],
      ['file', this.atMaster.open + this.atWorker.open > 0],
      ['bytes of the master', availableIn(pool) !== this.masterBytes],
      ['bytes of the worker', availableIn(this.pool) !== POOL_BYTES],
      ['lock', (await isLocked(writers)) || (await isLocked(this.writers))],
    ];
    return left.filter(([, isThere]) => isThere).map(([what]) => what);
  }
}

function availableIn(window: Window): number {
  const bytes = window.takeNow(Number.MAX_SAFE_INTEGER);
  window.give(bytes);
  return bytes;
}

/** Until no promise can go on without a frame or a timer. */
async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await turn();
}

/** What can happen; some of it oftener. */
const acts = {
  dial: (world) => world.dial(),
  connect: async (world) => {
    world.dial();
    await world.deliverAll();
  },
  arrive: (_world, link, { end, count }) => void link?.[end].deliver(count),
  pass: (world, _link, { count }) => world.pass(count),
  pull: (world, _link, { end, place }) => world.pull(end, place),
  cancel: (world) => world.cancel(),
  junk: (_world, link, { end, count }) => link?.[end].inject(Buffer.from('junk'), count % 2 === 0),
  bye: (_world, link) => void link?.session?.send({ type: 'bye', reason: 'The test says so.' }),
  cut: (_world, link, { end }) => link?.[end].terminate(),
  die: (_world, link) => link?.master.die(),
  hangUp: (world, link, { end }) => (end === 'master' ? world.closeByMaster() : link?.session?.close('The test does.')),
  stop: (world) => world.close(),
} satisfies Record<string, (world: World, link: Link | undefined, step: Step) => void | Promise<void>>;
type Act = keyof typeof acts;
interface Step {
  act: Act;
  end: 'master' | 'worker';
  /** Of the connection, counted from the last. */
  place: number;
  count: number;
}

const often: Act[] = ['connect', 'connect', 'arrive', 'arrive', 'arrive', 'pull', 'pull', 'pass'];
const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom(...(Object.keys(acts) as Act[]), ...often),
  end: fc.constantFrom('master', 'worker'),
  place: fc.integer({ min: -2, max: -1 }),
  count: fc.integer({ min: 1, max: 6 }),
});

beforeAll(() => {
  jest.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] } as never);
});
afterAll(() => {
  jest.useRealTimers();
});

test('steps in any order: each session ends once, and leaves nothing', () =>
  playOrders(step, 16, async (steps) => {
    jest.clearAllTimers();
    const world = new World();
    for (const next of steps) {
      await acts[next.act](world, world.links.at(next.place), next);
      await settled();
    }
    // Whatever happened before: once its socket is closed, nothing of a connection is left.
    for (const { master, worker } of world.links) for (const end of [master, worker]) end.terminate();
    await settled();
    const left = await world.leftovers();
    await world.pass(CLOSE_BEATS);
    if (jest.getTimerCount() > 0) left.push('timer');
    expect({ faults: world.faults, left }).toEqual({ faults: [], left: [] });
  }));
