/** Key agreement and sealed texts, including every way to change one. */
import fc from 'fast-check';
import { newNonce } from '../../../src/link/handshake';
import { ephemeralKey, Opener, Sealer } from '../../../src/link/seal';

const nonces = { master: newNonce(), worker: newNonce() };

test('default: both sides agree on two different keys', () => {
  const [master, worker] = [ephemeralKey(), ephemeralKey()];
  const keys = master.agree(worker.publicKey, nonces);
  expect(worker.agree(master.publicKey, nonces)).toEqual(keys);
  expect(keys.toMaster.equals(keys.toWorker)).toBe(false);
});

test('different nonces: different keys', () => {
  const [master, worker] = [ephemeralKey(), ephemeralKey()];
  const keys = master.agree(worker.publicKey, nonces);
  expect(worker.agree(master.publicKey, { ...nonces, worker: newNonce() })).not.toEqual(keys);
});

test('weak key: throws', () => {
  expect(() => ephemeralKey().agree(`0x${'0'.repeat(64)}`, nonces)).toThrow();
});

test('texts in order: they open', () => {
  const key = Buffer.alloc(32, 1);
  const [sealer, opener] = [new Sealer(key), new Opener(key)];
  for (const text of ['{}', '{"ä":1}', '']) expect(opener.open(sealer.seal(text))).toBe(text);
});

test('text changed, repeated, missing or moved: it does not open', () => {
  const key = Buffer.alloc(32, 1);
  const sealed = () => {
    const sealer = new Sealer(key);
    return [sealer.seal('first'), sealer.seal('second')] as const;
  };
  const [first, second] = sealed();
  expect(new Opener(key).open(second)).toBeUndefined();
  expect(new Opener(Buffer.alloc(32, 2)).open(first)).toBeUndefined();
  const opener = new Opener(key);
  opener.open(first);
  expect(opener.open(first)).toBeUndefined();
  fc.assert(
    fc.property(fc.nat(first.length - 1), fc.constantFrom('0', '1', 'x'), (at, mark) => {
      const changed = first.slice(0, at) + mark + first.slice(at + 1);
      expect(new Opener(key).open(changed)).toBe(changed === first ? 'first' : undefined);
    }),
  );
  for (let length = 0; length < first.length; length++)
    expect(new Opener(key).open(first.slice(0, length))).toBeUndefined();
});
