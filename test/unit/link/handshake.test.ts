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

const verdict = (check: () => void) => {
  try {
    check();
    return 'accepted';
  } catch (error) {
    return errorCode(error);
  }
};
const onHello = (challenge: Challenge, hello: Hello, nowMs = NOW) =>
  verdict(() => checkHello(challenge, hello, { recoverTyped, nowMs }));
const onWelcome = (challenge: Challenge, hello: Hello, welcome: Welcome) =>
  verdict(() => checkWelcome(challenge, hello, welcome, recoverTyped));

test('default: both accept each other', async () => {
  const { challenge, hello, welcome } = await shakeHands();
  expect(onHello(challenge, hello)).toBe('accepted');
  expect(onWelcome(challenge, hello, welcome)).toBe('accepted');
});

test('when any signed field of the hello is another, it is refused', async () => {
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
    { offer: { ...offer, held: { jobId: `0x${'1'.repeat(32)}` as never, leaseId: 'x' } } },
  ];
  for (const change of changes) {
    expect([change, onHello(challenge, { ...hello, ...change })]).toEqual([change, 'link/bad-signature']);
  }
});

test('when a hello was made for another challenge, it is refused: a recording fits nowhere', async () => {
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

test('when one hex digit of the signature’s r or s is another, it is refused', async () => {
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

test('when the hello comes late, it is refused', async () => {
  const { challenge, hello } = await shakeHands();
  expect(onHello(challenge, hello, NOW + CHALLENGE_TTL_MS)).toBe('accepted');
  expect(onHello(challenge, hello, NOW + CHALLENGE_TTL_MS + 1)).toBe('link/expired');
});

test('when a welcome was made for somebody else, or by somebody else, it is refused', async () => {
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
  ['default', {}, 'accepted'],
  ['when the pinned master is another', { master: `0x${'1'.repeat(40)}` as Address }, 'link/wrong-master'],
  ['when the chain is another', { chainId: 1 }, 'link/wrong-chain'],
  ['when the minor version is another', { version: '0.9.9' }, 'accepted'],
  ['when the major version is another', { version: '1.0.0' }, 'link/version'],
])('challenge: %s', async (_name, change, code) => {
  const { challenge, master } = await shakeHands();
  const ours = { chainId: CHAIN_ID, version: '0.1.0', master: master.address, ...change };
  expect(verdict(() => checkChallenge(challenge, ours))).toBe(code);
});
