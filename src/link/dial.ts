/** The worker's side of the handshake: one attempt to reach a master and to prove both addresses. */
import type { IncomingMessage } from 'node:http';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { WebSocket } from 'ws';
import { z } from 'zod';
import type { Address } from '../domain/ids';
import { AppError } from '../lib/errors';
import { proxyFor } from '../lib/proxy';
import { MasterMessage, type Offer, SUBPROTOCOL } from '../protocol/link';
import { cut, type LinkError, refusal } from './errors';
import {
  type Challenge,
  checkChallenge,
  checkWelcome,
  newNonce,
  signHello,
  type UnsignedHello,
  type Welcome,
} from './handshake';
import type { LinkWallet, RecoverTyped } from './ports';
import { ephemeralKey, type SessionKeys } from './seal';
import { type Frame, Greeting, hangUp, SOCKET_OPTIONS } from './socket';

const HANDSHAKE_MS = 10_000;
const Denial = z.object({ code: z.string().max(60), reason: z.string().max(500) });

export interface DialOptions {
  url: string;
  chainId: number;
  version: string;
  /** The only master to sign for; undefined accepts any. */
  master: Address | undefined;
}

export interface DialDeps {
  wallet: LinkWallet;
  recoverTyped: RecoverTyped;
  offer(): Omit<Offer, 'version'> | Promise<Omit<Offer, 'version'>>;
  signal: AbortSignal;
}

/** A master whose welcome was signed by its address, and the socket to it. */
export interface ProvenMaster {
  socket: WebSocket;
  address: Address;
  session: string;
  heartbeatMs: number;
  keys: SessionKeys;
  /** When the challenge expires by the master's clock; used only to warn of clock skew. */
  expiresAtMs: number;
  /** Frames that arrived right after the welcome. */
  frames: readonly Frame[];
}

/** Connects once and runs the handshake. Throws `link/…`. */
export async function dialMaster(options: DialOptions, deps: DialDeps): Promise<ProvenMaster> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(cut(`no welcome in ${HANDSHAKE_MS} ms`)), HANDSHAKE_MS);
  const signal = AbortSignal.any([deadline.signal, deps.signal]);
  const proxy = proxyFor(options.url);
  const agent = proxy ? { agent: new HttpsProxyAgent(proxy) } : {};
  const socket = new WebSocket(options.url, SUBPROTOCOL, { ...SOCKET_OPTIONS, ...agent });
  const greeting = new Greeting(socket, signal);
  try {
    await opened(socket, options.url, signal);
    return await greet(socket, greeting, options, deps);
  } catch (error) {
    if (socket.readyState === WebSocket.OPEN) hangUp(socket, 1008, 'the handshake failed');
    else socket.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
    greeting.end();
  }
}

async function greet(
  socket: WebSocket,
  greeting: Greeting,
  options: DialOptions,
  deps: DialDeps,
): Promise<ProvenMaster> {
  const { wallet, recoverTyped } = deps;
  const challenge: Challenge = expect('challenge', await greeting.next(MasterMessage));
  checkChallenge(challenge, options);

  const key = ephemeralKey();
  const offer = { ...(await deps.offer()), version: options.version };
  const nonce = newNonce();
  const unsigned: UnsignedHello = { type: 'hello', worker: wallet.address, nonce, key: key.publicKey, offer };
  socket.send(JSON.stringify(await signHello(wallet, challenge, unsigned)));

  const welcome: Welcome = expect('welcome', await greeting.next(MasterMessage));
  checkWelcome(challenge, unsigned, welcome, recoverTyped);
  greeting.throwIfOver();
  return {
    socket,
    address: challenge.master,
    session: welcome.session,
    heartbeatMs: welcome.heartbeatMs,
    keys: key.agree(challenge.key, { master: challenge.nonce, worker: nonce }),
    expiresAtMs: challenge.expiresAtMs,
    frames: greeting.end(),
  };
}

function expect<T extends MasterMessage['type']>(type: T, message: MasterMessage): Extract<MasterMessage, { type: T }> {
  if (message.type === 'refused') throw refused(message.code, message.reason);
  if (message.type !== type) throw refusal('link/out-of-order', `The master sent ${message.type} instead of ${type}.`);
  return message as Extract<MasterMessage, { type: T }>;
}

/**
 * Turns a refusal by the master into an error. A master that is stopping or full is only briefly unavailable.
 */
export function refused(code: string, reason: string): AppError<LinkError> {
  if (code === 'link/cut') return cut(reason);
  if (code === 'link/busy') return new AppError<LinkError>({ code }, reason);
  return new AppError<LinkError>(
    { code: 'link/refused', by: code },
    `The master refuses this worker (${code}): ${reason}`,
  );
}

function opened(socket: WebSocket, url: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    // Never removed: a broken frame also emits `close`, but an `error` without a listener would end the
    // process.
    socket.on('error', (cause) => reject(unreachable(url, cause)));
    socket.once('open', () => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    });
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      void readDenial(response).then((denial) => reject(denial ?? unreachable(url, `HTTP ${response.statusCode}`)));
    });
  });
}

/** Reads the reason a master gave when it refused the upgrade. */
async function readDenial(response: IncomingMessage): Promise<AppError<LinkError> | undefined> {
  try {
    let body = '';
    for await (const piece of response) if (body.length < 4096) body += piece;
    const denial = Denial.parse(JSON.parse(body));
    return denial.code === 'link/unreachable' ? undefined : refused(denial.code, denial.reason);
  } catch {
    return undefined; // the answer of some other server
  }
}

function unreachable(url: string, cause: unknown): AppError<LinkError> {
  const detail = typeof cause === 'string' ? ` (${cause})` : '';
  const proxy = proxyFor(url);
  const way = proxy ? ` by way of the proxy ${new URL(proxy).host}` : '';
  return new AppError<LinkError>(
    { code: 'link/unreachable', url },
    `There is no master at ${url}${way}${detail}; check the address and that it is running.`,
    { cause },
  );
}
