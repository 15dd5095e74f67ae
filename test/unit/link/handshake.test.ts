/** The handshake's checks without sockets: what each signature binds. */
import fc from 'fast-check';
import { recoverTyped } from '../../../src/chain/sending/wallet';
import type { Address } from '../../../src/domain/ids';
import { errorCode } from '../../../src/lib/errors';
import {
  type Challenge,
  checkChallenge,
  checkHello,
  checkWelcome,
  type Hello,
  newChallenge,
  newNonce,
  signHello,
  signWelcome,
  type Welcome,
} from '../../../src/link/handshake';
import { CHALLENGE_TTL_MS } from '../../../src/protocol/link';
import { CHAIN_ID, newWallet, OFFER } from '../../support/link-pair';
import { jobId } from '../../support/worker-messages';

const NOW = 1_700_000_000_000;
const offer = { ...OFFER, version: '0.1.0' };

/** A whole handshake between two fresh accounts. */
async function shakeHands() {
  const [master, worker] = [await newWallet(), await newWallet()];
  const facts = { version: '0.1.0', chainId: CHAIN_ID, master: master.address, key: newNonce(), nowMs: NOW };
  const challenge = newChallenge(facts);
  const unsigned = { type: 'hello' as const, worker: worker.address, nonce: newNonce(), key: newNonce(), offer };
  const hello = await signHello(worker, challenge, unsigned);
  const welcome = await signWelcome(master, challenge, hello, {
    type: 'welcome',
    session: newNonce(),
    heartbeatMs: 1000,
  });
  return { master, worker, challenge, hello, welcome };
}

const outcome = (check: () => void) => {
  try {
    check();
    return 'accepted';
  } catch (error) {
    return errorCode(error);
  }
};
const onHello = (challenge: Challenge, hello: Hello, nowMs = NOW) =>
  outcome(() => checkHello(challenge, hello, { recoverTyped, nowMs }));
const onWelcome = (challenge: Challenge, hello: Hello, welcome: Welcome) =>
  outcome(() => checkWelcome(challenge, hello, welcome, recoverTyped));

test('default: both sides accept each other', async () => {
  const { challenge, hello, welcome } = await shakeHands();
  expect(onHello(challenge, hello)).toBe('accepted');
  expect(onWelcome(challenge, hello, welcome)).toBe('accepted');
});

test('any signed field of the hello changed: refused', async () => {
  const { challenge, hello } = await shakeHands();
  const stranger = (await newWallet()).address;
  const changes: Partial<Hello>[] = [
    { worker: stranger },
    { nonce: newNonce() },
    { key: newNonce() },
    { signature: `0x${'00'.repeat(65)}` },
    { signature: `0x${'ff'.repeat(65)}` },
    { offer: { ...offer, powerCapacity: 11 } },
    { offer: { ...offer, version: '0.1.1' } },
    { offer: { ...offer, devices: [...offer.devices, ...offer.devices] } },
    { offer: { ...offer, held: { jobId: jobId('1'), leaseId: 'x' } } },
  ];
  for (const change of changes) {
    expect([change, onHello(challenge, { ...hello, ...change })]).toEqual([change, 'link/bad-signature']);
  }
});

test('hello made for another challenge: refused', async () => {
  const { challenge, hello } = await shakeHands();
  const other = (await newWallet()).address;
  const changes: Partial<Challenge>[] = [
    { nonce: newNonce() },
    { master: other },
    { chainId: 1 },
    { key: newNonce() },
    { expiresAtMs: challenge.expiresAtMs + 1 },
  ];
  for (const change of changes) {
    expect([change, onHello({ ...challenge, ...change }, hello)]).toEqual([change, 'link/bad-signature']);
  }
});

test('one hex digit of the signature’s r or s changed: refused', async () => {
  const { challenge, hello } = await shakeHands();
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 129 }), fc.constantFrom(...'0123456789abcdef'), (at, digit) => {
      const signature = hello.signature.slice(0, at) + digit + hello.signature.slice(at + 1);
      fc.pre(signature !== hello.signature);
      expect(onHello(challenge, { ...hello, signature })).toBe('link/bad-signature');
    }),
    { numRuns: 40 },
  );
});

test('hello after the challenge expired: refused', async () => {
  const { challenge, hello } = await shakeHands();
  expect(onHello(challenge, hello, NOW + CHALLENGE_TTL_MS)).toBe('accepted');
  expect(onHello(challenge, hello, NOW + CHALLENGE_TTL_MS + 1)).toBe('link/expired');
});

test('welcome made for or by another party: refused', async () => {
  const { challenge, hello, welcome, worker } = await shakeHands();
  const other = await shakeHands();
  expect(onWelcome(challenge, other.hello, welcome)).toBe('link/bad-signature');
  expect(onWelcome(other.challenge, hello, welcome)).toBe('link/bad-signature');
  expect(onWelcome(challenge, hello, { ...welcome, session: newNonce() })).toBe('link/bad-signature');
  expect(onWelcome(challenge, hello, { ...welcome, heartbeatMs: 2000 })).toBe('link/bad-signature');
  expect(onWelcome(challenge, { ...hello, key: newNonce() }, welcome)).toBe('link/bad-signature');
  const { signature: _, ...unsigned } = welcome;
  expect(onWelcome(challenge, hello, await signWelcome(worker, challenge, hello, unsigned))).toBe('link/bad-signature');
});

test.each([
  ['the expected master', 'accepted', {}],
  ['another master', 'link/wrong-master', { master: `0x${'1'.repeat(40)}` as Address }],
  ['another chain', 'link/wrong-chain', { chainId: 1 }],
  ['another minor version', 'accepted', { version: '0.9.9' }],
  ['another major version', 'link/version', { version: '1.0.0' }],
])('challenge of %s: %s', async (_name, code, change) => {
  const { challenge, master } = await shakeHands();
  const own = { chainId: CHAIN_ID, version: '0.1.0', master: master.address, ...change };
  expect(outcome(() => checkChallenge(challenge, own))).toBe(code);
});
