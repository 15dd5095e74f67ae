/** Several verifiers come to one verdict: who sends it, and what they wait for. */
import { Address, JobId } from '../../../src/domain/ids';
import { silentLogger } from '../../../src/lib/logger';
import type { SignedAttestation } from '../../../src/protocol/storage';
import { type Attesting, attest, type QuorumDeps, type SignedVerdict } from '../../../src/verifier/quorum';
import { autoClock } from '../../support/auto-clock';
import { submittedJob } from '../../support/manifest';

const job = { ...submittedJob(), jobId: JobId.parse(`0x${'01'.repeat(16)}`) };
const accept: SignedVerdict = { accepted: true };
const reject = (reason: string): SignedVerdict => ({ accepted: false, reasonHash: `0x${reason.repeat(16)}` });
const addressOf = (n: number) => Address.parse(`0x${n.toString(16).padStart(40, '0')}`);

/** A storage that all verifiers share, and the transactions they send. */
function openBoard(quorum: number) {
  const stored: SignedAttestation[] = [];
  const sent: { by: number; verdict: SignedVerdict; signatures: readonly string[] }[] = [];
  const clock = autoClock();
  const verifier = (n: number) => {
    const state: Attesting = {};
    const deps: QuorumDeps = {
      address: addressOf(n),
      quorumOf: async () => quorum,
      sign: async (_job, verdict) => ({
        verifier: addressOf(n),
        commitment: `0x${'cc'.repeat(20)}`,
        verdict,
        signature: `0x${'00'.repeat(64)}${n.toString(16).padStart(2, '0')}`,
      }),
      async publish(_jobId, attestation) {
        const same = stored.findIndex(
          (other) => other.verifier === attestation.verifier && other.verdict.accepted === attestation.verdict.accepted,
        );
        if (same >= 0) stored.splice(same, 1);
        stored.push(attestation);
      },
      listAttestations: async () => [...stored],
      async send(_job, verdict, signatures) {
        sent.push({ by: n, verdict, signatures: signatures.map((signature) => signature.slice(-2)) });
      },
      clock,
      logger: silentLogger,
    };
    return { say: (verdict: SignedVerdict) => attest(job, verdict, state, deps), deps, state };
  };
  return { verifier, stored, sent, clock };
}

test('quorum of one: sent at once, the storage is not asked', async () => {
  const { verifier, stored, sent } = openBoard(1);
  const { deps } = verifier(1);
  const away: QuorumDeps = { ...deps, listAttestations: () => Promise.reject(new Error('storage away')) };
  expect(await attest(job, accept, {}, away)).toBe(true);
  expect([sent, stored]).toEqual([[{ by: 1, verdict: accept, signatures: [] }], []]);
});

test('two of three agree: the one that completes the quorum sends', async () => {
  const { verifier, sent } = openBoard(2);
  const [first, second] = [verifier(1), verifier(2)];
  expect(await first.say(accept)).toBe(false);
  expect(await second.say(accept)).toBe(true);
  expect(sent).toEqual([{ by: 2, verdict: accept, signatures: ['01'] }]);
  expect(await first.say(accept)).toBe(false);
});

test('the one that completes it meets a fault: it sends at its next attempt', async () => {
  const { verifier, sent } = openBoard(2);
  const [first, second] = [verifier(1), verifier(2)];
  await first.say(accept);
  let lists = 0;
  const flaky: QuorumDeps = {
    ...second.deps,
    async listAttestations(asked) {
      lists += 1;
      if (lists === 2) throw new Error('storage away');
      return second.deps.listAttestations(asked);
    },
  };
  await expect(attest(job, accept, second.state, flaky)).rejects.toThrow('storage away');
  const broke: QuorumDeps = { ...second.deps, send: () => Promise.reject(new Error('chain away')) };
  await expect(attest(job, accept, second.state, broke)).rejects.toThrow('chain away');
  expect(await second.say(accept)).toBe(true);
  expect(sent).toEqual([{ by: 2, verdict: accept, signatures: ['01'] }]);
});

test('the one that completed it was killed: another sends after a minute', async () => {
  const { verifier, sent, clock } = openBoard(2);
  const [first, second] = [verifier(2), verifier(1)];
  await first.say(accept);
  await second.deps.publish(job.jobId, await second.deps.sign(job, accept));
  expect(await first.say(accept)).toBe(false);
  await clock.sleep(61_000);
  expect(await first.say(accept)).toBe(true);
  expect(sent).toEqual([{ by: 2, verdict: accept, signatures: ['01'] }]);
});

test('two disagree: both wait for a third, which decides', async () => {
  const { verifier, sent } = openBoard(2);
  const [ann, bob, eve] = [verifier(1), verifier(2), verifier(3)];
  expect([await ann.say(accept), await bob.say(reject('bb')), await ann.say(accept)]).toEqual([false, false, false]);
  expect(sent).toEqual([]);
  expect(await eve.say(reject('ee'))).toBe(true);
  expect(sent).toEqual([{ by: 3, verdict: reject('bb'), signatures: ['02'] }]);
});

test('different reasons at the same time: they meet on one', async () => {
  const { verifier, stored, sent } = openBoard(2);
  const [ann, bob] = [verifier(1), verifier(2)];
  for (const [{ deps }, reason] of [
    [ann, 'bb'],
    [bob, 'aa'],
  ] as const)
    await deps.publish(job.jobId, await deps.sign(job, reject(reason)));
  expect(await ann.say(reject('bb'))).toBe(true);
  expect(sent).toEqual([{ by: 1, verdict: reject('aa'), signatures: ['02'] }]);
  expect(stored.filter(({ verifier: by }) => by === addressOf(1))).toMatchObject([{ verdict: reject('aa') }]);
});

test('three of three, three reasons: all end with the same', async () => {
  const { verifier, sent } = openBoard(3);
  const all = [verifier(3), verifier(1), verifier(2)] as const;
  const reasons = ['cc', 'aa', 'bb'];
  for (let turn = 0; turn < 2 && sent.length === 0; turn += 1)
    for (const [i, one] of all.entries()) await one.say(reject(reasons[i] ?? ''));
  expect(sent).toEqual([{ by: 2, verdict: reject('cc'), signatures: ['01', '03'] }]);
});

test('one signature twice: counted once', async () => {
  const { verifier, stored, sent } = openBoard(3);
  const [ann, bob] = [verifier(1), verifier(2)];
  await ann.say(accept);
  stored.push(...stored);
  expect(await bob.say(accept)).toBe(false);
  expect(sent).toEqual([]);
});

test('more agree than needed: no more signatures than the quorum are sent', async () => {
  const { verifier, sent } = openBoard(3);
  const [ann, bob, eve, dan] = [verifier(4), verifier(3), verifier(2), verifier(1)];
  for (const { deps } of [ann, bob, eve]) await deps.publish(job.jobId, await deps.sign(job, accept));
  expect(await dan.say(accept)).toBe(true);
  expect(sent).toEqual([{ by: 1, verdict: accept, signatures: ['02', '03'] }]);
});
