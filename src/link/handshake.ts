/** The handshake's messages: how each is made, signed and checked. No sockets here. */
import { randomBytes } from 'node:crypto';
import type { Address, Bytes32 } from '../domain/ids';
import { canonicalJson, sha256 } from '../lib/hash';
import { CHALLENGE_TTL_MS, helloTypes, type MasterMessage, type WorkerMessage, welcomeTypes } from '../protocol/link';
import { refusal } from './errors';
import type { LinkWallet, RecoverTyped } from './ports';

export type Challenge = Extract<MasterMessage, { type: 'challenge' }>;
export type Hello = Extract<WorkerMessage, { type: 'hello' }>;
export type Welcome = Extract<MasterMessage, { type: 'welcome' }>;
export type UnsignedHello = Omit<Hello, 'signature'>;

const DOMAIN = 'Emeth Link';

export function newNonce(): Bytes32 {
  return `0x${randomBytes(32).toString('hex')}`;
}

/** The first message of a master. Its nonce belongs to one socket, so a recorded hello fits no other. */
export function newChallenge(facts: {
  version: string;
  chainId: number;
  master: Address;
  key: Bytes32;
  nowMs: number;
}): Challenge {
  const { nowMs, ...rest } = facts;
  return { type: 'challenge', ...rest, nonce: newNonce(), expiresAtMs: nowMs + CHALLENGE_TTL_MS };
}

/** The worker's check before it signs anything: the right master and chain, and a compatible version. */
export function checkChallenge(
  challenge: Challenge,
  own: { chainId: number; version: string; master?: Address | undefined },
): void {
  if (own.master && challenge.master !== own.master) {
    throw refusal(
      'link/wrong-master',
      `The master there is ${challenge.master}, not ${own.master}; if the operator changed its key, set masterAddress.`,
    );
  }
  if (challenge.chainId !== own.chainId) {
    throw refusal('link/wrong-chain', `The master works on chain ${challenge.chainId}, this worker on ${own.chainId}.`);
  }
  checkVersion(own.version, challenge.version);
}

export async function signHello(wallet: LinkWallet, challenge: Challenge, hello: UnsignedHello): Promise<Hello> {
  return { ...hello, signature: await wallet.signTyped(DOMAIN, helloTypes, helloValue(challenge, hello)) };
}

/** The master's check that the worker owns its address. Throws `link/…`. */
export function checkHello(
  challenge: Challenge,
  hello: Hello,
  deps: { recoverTyped: RecoverTyped; nowMs: number },
): void {
  if (deps.nowMs > challenge.expiresAtMs) throw refusal('link/expired', 'The challenge was answered too late.');
  checkVersion(challenge.version, hello.offer.version);
  const value = helloValue(challenge, hello);
  const signer = deps.recoverTyped(challenge.chainId, DOMAIN, helloTypes, value, hello.signature);
  if (signer !== hello.worker) {
    throw refusal(
      'link/bad-signature',
      `The hello of ${hello.worker} is not signed by it for this master, chain and challenge.`,
    );
  }
}

export async function signWelcome(
  wallet: LinkWallet,
  challenge: Challenge,
  hello: Hello,
  welcome: Omit<Welcome, 'signature'>,
): Promise<Welcome> {
  const value = welcomeValue(challenge, hello, welcome);
  return { ...welcome, signature: await wallet.signTyped(DOMAIN, welcomeTypes, value) };
}

/** The worker's check that the master itself answered this very hello. Throws `link/bad-signature`. */
export function checkWelcome(
  challenge: Challenge,
  hello: UnsignedHello,
  welcome: Welcome,
  recoverTyped: RecoverTyped,
): void {
  const value = welcomeValue(challenge, hello, welcome);
  const signer = recoverTyped(challenge.chainId, DOMAIN, welcomeTypes, value, welcome.signature);
  if (signer !== challenge.master) {
    throw refusal('link/bad-signature', `The welcome is not signed by the master ${challenge.master} for this worker.`);
  }
}

function checkVersion(own: string, other: string): void {
  const major = (version: string) => version.split('.')[0];
  if (major(own) !== major(other)) {
    throw refusal('link/version', `Version ${other} does not work with version ${own}; use the same major version.`);
  }
}

function helloValue(challenge: Challenge, hello: UnsignedHello) {
  return {
    ...parties(challenge, hello),
    expiresAtMs: challenge.expiresAtMs,
    offerHash: `0x${sha256(canonicalJson(hello.offer))}`,
  };
}

function welcomeValue(challenge: Challenge, hello: UnsignedHello, welcome: Omit<Welcome, 'signature'>) {
  return { ...parties(challenge, hello), session: welcome.session, heartbeatMs: welcome.heartbeatMs };
}

function parties(challenge: Challenge, hello: UnsignedHello) {
  return {
    master: challenge.master,
    worker: hello.worker,
    masterNonce: challenge.nonce,
    workerNonce: hello.nonce,
    masterKey: challenge.key,
    workerKey: hello.key,
  };
}
