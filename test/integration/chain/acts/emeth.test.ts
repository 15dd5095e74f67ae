/** The contract's verbs sent by real accounts: one job from request to pay, repeated acts, time limits. */
import { parseEther } from 'ethers';
import { type Attestation, signAttestation, sortAttestations } from '../../../../src/chain/acts/attestations';
import type { ResultRef } from '../../../../src/chain/acts/emeth';
import { payAll } from '../../../../src/chain/acts/pay';
import { buildPayouts } from '../../../../src/chain/acts/payouts';
import { defaultTerms } from '../../../../src/chain/deploy/deploy';
import { Address, type JobId } from '../../../../src/domain/ids';
import { shareOut } from '../../../../src/domain/shares';
import { type ChainAccounts, openChainAccounts } from '../../../support/chain-accounts';
import { afterVerdict, afterWork, dataset, FEE, FUEL, params, reasonHash, resultHash } from '../../../support/escrow';

let accounts: ChainAccounts;

beforeAll(async () => {
  accounts = await openChainAccounts();
}, 30_000);

afterEach(() => accounts.reset());

afterAll(() => accounts[Symbol.asyncDispose]());

/** Requests a job as the requester and returns its id. */
async function request(feeWei = FEE): Promise<JobId> {
  const { chain, emethOf } = accounts;
  const deadlineMs = (await chain.nowMs()) + 3_600_000;
  const requester = await emethOf('requester');
  return (await requester.request({ dataset, params, feeWei, fuelLimit: FUEL, deadlineMs })).jobId;
}

const stateOf = async (jobId: JobId) => (await accounts.chain.job(jobId)).state;

/** Submits, as the node, a result with this many workers. */
async function submit(workers: number) {
  const { escrow, emethOf } = accounts;
  const tokens = new Map(Array.from({ length: workers }, (_, i) => [addressOf(i), 1000 * (i + 1)]));
  const shares = shareOut({ payoutWei: FEE / 2n, node: escrow.address.node, commissionBps: 1000, tokens });
  const { root, proofOf } = buildPayouts(shares);
  const jobId = await request();
  const node = await emethOf('node');
  await node.process(jobId);
  const ref: ResultRef = { jobId, resultHash, payoutRoot: root };
  await node.submit(ref, FUEL / 2n, 'sha256:result');
  return { ref, shares, proofOf, node };
}

const addressOf = (i: number) => Address.parse(`0x${(0xaa0000 + i).toString(16).padStart(40, '0')}`);

describe('emeth', () => {
  test('job from request to pay: each worker has what its tokens earned', async () => {
    const { chain, emethOf } = accounts;
    const { ref, shares, node } = await submit(3);
    await (await emethOf('verifier')).verify(ref);
    await node.payWorkers(ref.jobId, resultHash, shares);
    for (const { worker, amountWei } of shares.slice(1)) expect(await chain.credit(worker)).toBe(amountWei);
    expect(await stateOf(ref.jobId)).toBe('VERIFIED');
  });

  test('challenge asked for again with no tokens left: the same transaction', async () => {
    const { ref } = await submit(1);
    const { emethOf, chain, escrow } = accounts;
    const challenger = await emethOf('challenger');
    const bondWei = await chain.bondOf(ref.jobId);
    const first = await challenger.challenge(ref.jobId, bondWei);
    const leftWei = await chain.tokenBalance(challenger.address);
    await escrow.sendToken('challenger', 'transfer', escrow.address.other, leftWei);
    expect(await challenger.challenge(ref.jobId, bondWei)).toEqual(first);
  });

  test('request without an approval: still one transaction', async () => {
    const { escrow, chain } = accounts;
    await escrow.sendToken('requester', 'approve', escrow.core, 0n);
    const sent = () => chain.provider.getTransactionCount(escrow.address.requester);
    const before = await sent();
    expect(await stateOf(await request())).toBe('REQUESTED');
    expect((await sent()) - before).toBe(1);
    expect(await chain.allowance(escrow.address.requester, escrow.core)).toBe(0n);
  });

  test('withdraw with claims: claimed pay and credit in one transaction', async () => {
    const { escrow, chain, emethOf } = accounts;
    const payees = ['challenger', 'other'] as const;
    const shares = payees.map((role, index) => ({
      index,
      worker: escrow.address[role],
      amountWei: FEE / 4n,
      tokens: 1,
    }));
    const { root: payoutRoot, proofOf } = buildPayouts(shares);
    const node = await emethOf('node');
    const claims = [];
    for (let i = 0; i < 2; i += 1) {
      const ref: ResultRef = { jobId: await request(), resultHash, payoutRoot };
      await node.process(ref.jobId);
      await node.submit(ref, FUEL / 2n, 'sha256:result');
      await (await emethOf('verifier')).verify(ref);
      claims.push({ ref, share: shares[0]!, proof: proofOf(0) });
    }
    const worker = await emethOf('challenger');
    expect(await Promise.all(claims.map((claim) => worker.canClaim(claim)))).toEqual([true, true]);
    const tokensBefore = await chain.tokenBalance(worker.address);
    await worker.withdraw(worker.address, FEE / 2n, { claims });
    expect((await chain.tokenBalance(worker.address)) - tokensBefore).toBe(FEE / 2n);
    expect(await Promise.all(claims.map((claim) => worker.canClaim(claim)))).toEqual([false, false]);
  });

  test('every act repeated: nothing happens twice', async () => {
    const { chain, walletOf, emethOf } = accounts;
    const { ref, shares, node } = await submit(2);
    const verifier = await emethOf('verifier');
    const acts = [
      () => node.submit(ref, FUEL / 2n, 'sha256:result'),
      () => verifier.verify(ref),
      () => node.payWorkers(ref.jobId, resultHash, shares),
    ];
    const { address } = await walletOf('node');
    for (const act of acts) {
      const first = await act();
      const count = await chain.provider.getTransactionCount(address);
      expect(await act()).toEqual(first);
      expect(await chain.provider.getTransactionCount(address)).toBe(count);
    }
  });

  test('more workers than one call pays: each claims by its proof, once', async () => {
    const { chain, emethOf } = accounts;
    const { ref, shares, proofOf } = await submit(20);
    await (await emethOf('verifier')).verify(ref);
    const claimer = await emethOf('challenger');
    for (const share of shares.slice(15, 18)) {
      await claimer.claim([{ ref, share, proof: proofOf(share.index) }]);
      expect(await chain.credit(share.worker)).toBe(share.amountWei);
    }
    const share = shares[15]!;
    const again = (await emethOf('verifier2')).claim([{ ref, share, proof: proofOf(15) }]);
    await expect(again).rejects.toMatchObject({ detail: { reason: 'EmethCore_AlreadyClaimed' } });
    const greedy = { ...shares[18]!, amountWei: shares[18]!.amountWei + 1n };
    const forged = claimer.claim([{ ref, share: greedy, proof: proofOf(18) }]);
    await expect(forged).rejects.toMatchObject({ detail: { reason: 'EmethCore_WrongProof' } });
  });

  test.each([
    ['few workers, none paid yet', 3, [], 1],
    ['few workers, one has claimed', 3, [1], 1],
    ['many workers, none paid yet', 20, [], 1],
    ['many workers, some have claimed', 20, [0, 7, 20], 1],
    ['more workers than one transaction takes', 80, [], 2],
  ])('payAll with %s: all are paid in the fewest transactions', async (_case, workers, claimed, transactions) => {
    const { chain, emethOf } = accounts;
    const { ref, shares, proofOf, node } = await submit(workers);
    await (await emethOf('verifier')).verify(ref);
    const before = await chain.credit(node.address);
    const claimer = await emethOf('challenger');
    for (const index of claimed) await claimer.claim([{ ref, share: shares[index]!, proof: proofOf(index) }]);
    const sent = () => chain.provider.getTransactionCount(node.address);
    const sentBefore = await sent();
    const pay = () => payAll(chain, node, { jobId: ref.jobId, resultHash, shares });
    await pay();
    expect((await sent()) - sentBefore).toBe(transactions);
    for (const { worker, amountWei } of shares.slice(1)) expect(await chain.credit(worker)).toBe(amountWei);
    expect((await chain.credit(node.address)) - before).toBe(shares[0]?.amountWei);
    await pay();
    expect((await sent()) - sentBefore).toBe(transactions);
  });

  test('payAll after another account paid everyone: no transaction', async () => {
    const { chain, emethOf } = accounts;
    const { ref, shares, node } = await submit(3);
    await (await emethOf('verifier')).verify(ref);
    await (await emethOf('challenger')).payWorkers(ref.jobId, resultHash, shares);
    const sent = await chain.provider.getTransactionCount(node.address);
    await payAll(chain, node, { jobId: ref.jobId, resultHash, shares });
    expect(await chain.provider.getTransactionCount(node.address)).toBe(sent);
  });

  test('quorum of two: one verifier submits the other’s attestation', async () => {
    const { escrow, chain, walletOf, emethOf } = accounts;
    await escrow.send('admin', 'grantRole', await escrow.read('VERIFIER_ROLE'), escrow.address.verifier2);
    await escrow.send('admin', 'setTerms', { ...defaultTerms, quorum: 2 });
    const { ref } = await submit(1);
    const verifier = await emethOf('verifier');
    await expect(verifier.verify(ref)).rejects.toMatchObject({ detail: { reason: 'EmethCore_QuorumNotReached' } });
    const yes: Attestation = { ...ref, verdict: { accepted: true } };
    await verifier.verify(ref, [await signAttestation(await walletOf('verifier2'), chain.core, yes)]);
    expect(await stateOf(ref.jobId)).toBe('VERIFIED');
  });

  test('attestations submitted by a third account: sorted by signer', async () => {
    const { escrow, chain, walletOf, emethOf } = accounts;
    await escrow.send('admin', 'grantRole', await escrow.read('VERIFIER_ROLE'), escrow.address.verifier2);
    await escrow.send('admin', 'setTerms', { ...defaultTerms, quorum: 2 });
    const { ref } = await submit(1);
    const no: Attestation = { ...ref, verdict: { accepted: false, reasonHash } };
    const wallets = await Promise.all([walletOf('verifier'), walletOf('verifier2')]);
    const signatures = await Promise.all(wallets.map((wallet) => signAttestation(wallet, chain.core, no)));
    for (const list of [signatures, signatures.toReversed()])
      expect(sortAttestations(list, chain.chainId, chain.core, no)).toEqual(
        sortAttestations(signatures, chain.chainId, chain.core, no),
      );
    const sorted = sortAttestations(signatures, chain.chainId, chain.core, no);
    await (await emethOf('challenger')).rejectResult(ref, reasonHash, sorted);
    expect(await stateOf(ref.jobId)).toBe('FAILED');
  });

  test('declined job: the node may take it again', async () => {
    const node = await accounts.emethOf('node');
    const jobId = await request();
    const first = await node.process(jobId);
    await node.decline(jobId);
    expect(await stateOf(jobId)).toBe('REQUESTED');
    const second = await node.process(jobId);
    expect(second.hash).not.toBe(first.hash);
    expect(await stateOf(jobId)).toBe('PROCESSING');
  });

  test('several jobs taken at once: one approval does not undo another', async () => {
    const { escrow, emethOf } = accounts;
    await escrow.sendToken('node', 'approve', escrow.core, 0n);
    const jobIds = [await request(), await request(parseEther('2000')), await request()];
    const node = await emethOf('node');
    await Promise.all(jobIds.map((jobId) => node.process(jobId)));
    for (const jobId of jobIds) expect(await stateOf(jobId)).toBe('PROCESSING');
  });

  test.each([
    ['expire', 'TIMEOUT', afterWork, 'REQUESTED'],
    ['timeout', 'TIMEOUT', afterWork, 'PROCESSING'],
    ['finalize', 'VERIFIED', afterVerdict, 'SUBMITTED'],
    ['unwind', 'UNVERIFIED', afterVerdict, 'DISPUTED'],
  ] as const)(
    '%s: any account ends the job as %s after its deadline, and not before',
    async (verb, end, seconds, from) => {
      const { escrow, emethOf } = accounts;
      const jobId = (await escrow.jobIn(from)) as JobId;
      const anybody = await emethOf('challenger');
      await expect(anybody[verb](jobId)).rejects.toMatchObject({ code: 'chain/reverted' });
      await escrow.warp(seconds);
      await anybody[verb](jobId);
      expect(await stateOf(jobId)).toBe(end);
    },
  );

  test('accept: the requester settles at once', async () => {
    const { ref } = await submit(1);
    await (await accounts.emethOf('requester')).accept(ref.jobId);
    expect(await stateOf(ref.jobId)).toBe('VERIFIED');
  });

  test('withdraw: the same amount twice is two acts', async () => {
    const { escrow, chain, emethOf } = accounts;
    await escrow.send('node', 'deposit', escrow.address.node, 10n);
    const before = await chain.tokenBalance(escrow.address.node);
    const node = await emethOf('node');
    await node.withdraw(escrow.address.node, 4n);
    await node.withdraw(escrow.address.node, 4n);
    expect(await chain.tokenBalance(escrow.address.node)).toBe(before + 8n);
    await expect(node.withdraw(escrow.address.node, 4n)).rejects.toMatchObject({
      detail: { code: 'chain/reverted', reason: 'EmethCore_NotEnoughCredit' },
    });
  });
});
