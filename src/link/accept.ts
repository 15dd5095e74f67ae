/** The master's side of the handshake: from an open socket to a proven worker, or a refusal. */
import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { AppError } from '../lib/errors';
import { type Offer, WorkerMessage } from '../protocol/link';
import { refusal } from './errors';
import { checkHello, type Hello, newChallenge, newNonce, signWelcome } from './handshake';
import type { LinkWallet, RecoverTyped } from './ports';
import { ephemeralKey, type SessionKeys } from './seal';
import { Greeting, type LinkSocket } from './socket';

export interface AcceptOptions {
  chainId: number;
  version: string;
  heartbeatMs: number;
  handshakeMs: number;
}

export interface AcceptDeps {
  wallet: LinkWallet;
  recoverTyped: RecoverTyped;
  isBlocked(worker: Address): boolean | Promise<boolean>;
  /** Throws `link/in-use` when the worker is here already. */
  requireAbsent(worker: Address): Promise<void>;
  clock: Clock;
  /** Aborts every handshake under way. */
  signal: AbortSignal;
}

/** A worker whose signature matched its address, with the keys of its session. */
export interface ProvenWorker {
  address: Address;
  offer: Offer;
  session: string;
  keys: SessionKeys;
}

/** Resolves as soon as the welcome is sent. Throws `link/…` when the worker is refused. */
export async function acceptWorker(
  socket: LinkSocket,
  options: AcceptOptions,
  deps: AcceptDeps,
): Promise<ProvenWorker> {
  const { chainId, version, heartbeatMs } = options;
  const { wallet } = deps;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(tooSlow(options.handshakeMs)), options.handshakeMs);
  const greeting = new Greeting(socket, AbortSignal.any([deadline.signal, deps.signal]));
  try {
    const key = ephemeralKey();
    const nowMs = deps.clock.now();
    const challenge = newChallenge({ version, chainId, master: wallet.address, key: key.publicKey, nowMs });
    socket.send(JSON.stringify(challenge));

    const hello = expectHello(await greeting.next(WorkerMessage));
    checkHello(challenge, hello, { recoverTyped: deps.recoverTyped, nowMs: deps.clock.now() });
    if (await deps.isBlocked(hello.worker)) {
      throw refusal('link/blocked', `The worker ${hello.worker} is blocked by the master's operator.`);
    }
    await deps.requireAbsent(hello.worker);
    const keys = agree(() => key.agree(hello.key, { master: challenge.nonce, worker: hello.nonce }));
    const session = newNonce();
    const welcome = await signWelcome(wallet, challenge, hello, { type: 'welcome', session, heartbeatMs });
    greeting.throwIfOver();
    if (greeting.end().length > 0) throw refusal('link/out-of-order', 'A message arrived before the welcome was sent.');
    socket.send(JSON.stringify(welcome));
    return { address: hello.worker, offer: hello.offer, session, keys };
  } finally {
    clearTimeout(timer);
    greeting.end();
  }
}

function expectHello(message: WorkerMessage): Hello {
  if (message.type !== 'hello') throw refusal('link/out-of-order', `${message.type} arrived before hello.`);
  return message;
}

function agree<T>(keys: () => T): T {
  try {
    return keys();
  } catch (cause) {
    throw refusal('link/invalid', 'The key in the hello is not a usable X25519 key.', cause);
  }
}

function tooSlow(handshakeMs: number): AppError {
  return refusal('link/slow-handshake', `The handshake took more than ${handshakeMs} ms.`);
}
