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

/** What a master sends first. Its nonce lives and dies with the socket, so a recorded hello fits no other. */
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

/** The worker's check before it signs anything: this master, this chain, a version it understands. */
export function checkChallenge(
  challenge: Challenge,
  ours: { chainId: number; version: string; master?: Address | undefined },
): void {
  if (ours.master && challenge.master !== ours.master) {
    throw refusal(
      'link/wrong-master',
      `The master there is ${challenge.master}, not ${ours.master}; if the operator changed its key, set masterAddress.`,
    );
  }
  if (challenge.chainId !== ours.chainId) {
    throw refusal(
      'link/wrong-chain',
      `The master works on chain ${challenge.chainId}, this worker on ${ours.chainId}.`,
    );
  }
  checkVersion(ours.version, challenge.version);
}

export async function signHello(wallet: LinkWallet, challenge: Challenge, hello: UnsignedHello): Promise<Hello> {
  return { ...hello, signature: await wallet.signTyped(DOMAIN, helloTypes, helloValue(challenge, hello)) };
}

/** The master's check of who wants in. Throws `link/…`. */
export function checkHello(
  challenge: Challenge,
  hello: Hello,
  deps: { recoverTyped: RecoverTyped; nowMs: number },
): void {
  if (deps.nowMs > challenge.expiresAtMs) throw refusal('link/expired', 'The answer to the challenge came too late.');
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

/** The worker's check that the master itself answered, now and to us. Throws `link/bad-signature`. */
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

function checkVersion(ours: string, theirs: string): void {
  const major = (version: string) => version.split('.')[0];
  if (major(ours) !== major(theirs)) {
    throw refusal('link/version', `Version ${theirs} does not work with version ${ours}; use the same major version.`);
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
