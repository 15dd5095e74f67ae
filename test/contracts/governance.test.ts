/** Verifiers, permits, terms and the administration, called with ethers as the clients call them. */
import { concat, id, parseEther, Signature, Wallet, ZeroAddress } from 'ethers';
import { defaultTerms } from '../../src/chain/deploy/deploy';
import { devKeys } from '../../src/runner/anvil';
import {
  changes,
  commitmentOf,
  dataset,
  type Escrow,
  FEE,
  FUEL,
  openEscrow,
  params,
  type Role,
  reasonHash,
  resultHash,
  roles,
  tokenInterface,
} from '../support/escrow';

const emt = (amount: number) => parseEther(String(amount));

let escrow: Escrow;
beforeAll(async () => {
  escrow = await openEscrow();
});
beforeEach(() => escrow.reset());
afterAll(() => escrow?.[Symbol.asyncDispose]());

/** Returns the wallet of a role; anvil's keys are in the order of the roles. */
const walletOf = (role: Role) => new Wallet(devKeys[roles.indexOf(role)]!);

describe('verifiers', () => {
  async function attest(role: Role, jobId: string, accepted: boolean, reason = `0x${'0'.repeat(32)}`): Promise<string> {
    const domain = { name: 'EmethCore', version: '1', chainId: 31337, verifyingContract: escrow.core };
    const fields = { jobId: 'bytes16', commitment: 'bytes20', accepted: 'bool', reasonHash: 'bytes16' };
    const types = { Attestation: Object.entries(fields).map(([name, type]) => ({ name, type })) };
    const commitment = await escrow.read('commit', resultHash, escrow.payoutRoot);
    expect(commitment).toBe(commitmentOf(escrow.payoutRoot));
    return walletOf(role).signTypedData(domain, types, { jobId, commitment, accepted, reasonHash: reason });
  }

  const byAddress = (a: Role, b: Role) => (escrow.address[a] < escrow.address[b] ? -1 : 1);
  const verifyBy = (by: Role, jobId: string, signatures: string[]) =>
    [by, 'verify', jobId, commitmentOf(escrow.payoutRoot), concat(signatures)] as const;

  async function requireTwo(): Promise<void> {
    await escrow.send('admin', 'grantRole', id('VERIFIER_ROLE'), escrow.address.verifier2);
    await escrow.send('admin', 'setTerms', { ...defaultTerms, quorum: 2 });
  }

  test('quorum of two: one verifier is not enough and two are', async () => {
    await requireTwo();
    const jobId = await escrow.jobIn('SUBMITTED');
    expect(await escrow.refusal(...verifyBy('verifier', jobId, []))).toBe('EmethCore_QuorumNotReached');
    await escrow.send(...verifyBy('verifier', jobId, [await attest('verifier2', jobId, true)]));
    expect(await escrow.state(jobId)).toBe('VERIFIED');
  });

  test('signatures brought by a stranger: the first signer earns the fee', async () => {
    await requireTwo();
    const jobId = await escrow.jobIn('SUBMITTED');
    const signers = (['verifier', 'verifier2'] as Role[]).sort(byAddress);
    const signatures = await Promise.all(signers.map((role) => attest(role, jobId, true)));
    const before = await escrow.credits();
    expect(await escrow.refusal(...verifyBy('stranger', jobId, signatures.toReversed()))).toBe(
      'EmethCore_AttestationsNotSorted',
    );
    await escrow.send(...verifyBy('stranger', jobId, signatures));
    expect(changes(before, await escrow.credits())).toMatchObject({ [signers[0]!]: emt(50) });
    expect((await escrow.credits()).stranger).toBe(0n);
  });

  test('verifier signs twice, or signs and sends: it counts once', async () => {
    await requireTwo();
    const jobId = await escrow.jobIn('SUBMITTED');
    const own = await attest('verifier', jobId, true);
    expect(await escrow.refusal(...verifyBy('verifier', jobId, [own]))).toBe('EmethCore_QuorumNotReached');
    expect(await escrow.refusal(...verifyBy('stranger', jobId, [own, own]))).toBe('EmethCore_AttestationsNotSorted');
  });

  test('signature about something else: throws EmethCore_NotVerifier', async () => {
    const jobId = await escrow.jobIn('SUBMITTED');
    const other = await escrow.jobIn('SUBMITTED');
    for (const signature of [
      await attest('verifier', jobId, false),
      await attest('verifier', other, true),
      await attest('challenger', jobId, true),
    ]) {
      expect(await escrow.refusal(...verifyBy('stranger', jobId, [signature]))).toBe('EmethCore_NotVerifier');
    }
  });

  test('rejected by signatures: the reason is part of the signed content', async () => {
    const jobId = await escrow.jobIn('SUBMITTED');
    const signature = await attest('verifier', jobId, false, reasonHash);
    const reject = (reason: string) =>
      ['stranger', 'rejectResult', jobId, commitmentOf(escrow.payoutRoot), reason, signature] as const;
    expect(await escrow.refusal(...reject(resultHash.slice(0, 34)))).toBe('EmethCore_NotVerifier');
    await escrow.send(...reject(reasonHash));
    expect(await escrow.state(jobId)).toBe('FAILED');
  });
});

describe('permit', () => {
  const value = (FEE * 110n) / 100n;

  async function permitAndJob() {
    const wallet = walletOf('requester');
    const deadline = (await escrow.now()) + 3600n;
    const domain = { name: 'Emeth', version: '1', chainId: 31337, verifyingContract: escrow.token };
    const fields = { owner: 'address', spender: 'address', value: 'uint256', nonce: 'uint256', deadline: 'uint256' };
    const types = { Permit: Object.entries(fields).map(([name, type]) => ({ name, type })) };
    const message = { owner: wallet.address, spender: escrow.core, value, nonce: 0, deadline };
    const { v, r, s } = Signature.from(await wallet.signTypedData(domain, types, message));
    await escrow.sendToken('requester', 'approve', escrow.core, 0n);
    return { permit: [value, deadline, v, r, s], job: [dataset, params, FEE, FUEL, deadline, id('a')] };
  }

  test('request with a permit: it takes the tokens', async () => {
    const { permit, job } = await permitAndJob();
    await escrow.send('requester', 'requestWithPermit', ...job, ...permit);
    expect(await escrow.readToken('balanceOf', escrow.core)).toBe(value);
  });

  test('permit used by somebody else before: the request works all the same', async () => {
    const { permit, job } = await permitAndJob();
    await escrow.sendToken('stranger', 'permit', escrow.address.requester, escrow.core, ...permit);
    await escrow.send('requester', 'requestWithPermit', ...job, ...permit);
    expect(await escrow.readToken('balanceOf', escrow.core)).toBe(value);
  });
});

describe('terms', () => {
  test('new terms: an existing job keeps its own', async () => {
    const old = await escrow.jobIn('PROCESSING');
    await escrow.send('admin', 'setTerms', { ...defaultTerms, verifierBps: 100, declineBps: 1000 });
    const before = await escrow.credits();
    await escrow.send('node', 'decline', old);
    expect(changes(before, await escrow.credits())).toEqual({ node: emt(980), penalties: emt(20) });

    const young = await escrow.jobIn('PROCESSING');
    const between = await escrow.credits();
    await escrow.send('node', 'decline', young);
    expect(changes(between, await escrow.credits())).toEqual({ node: emt(900), penalties: emt(100) });
  });

  test.each(
    Object.entries({
      minFee: 0,
      verifierBps: 501,
      penaltyBps: 5001,
      declineBps: 2001,
      tipBps: 1001,
      burnBps: 2001,
      quorum: 0,
      minWork: 86_401,
      verdictWindow: 599,
      claimWindow: 15_552_001,
    }),
  )('%s of %i: throws EmethCore_TermsOutOfBounds', async (name, value) => {
    const terms = { ...defaultTerms, [name]: value };
    expect(await escrow.refusal('admin', 'setTerms', terms)).toBe('EmethCore_TermsOutOfBounds');
  });
});

describe('administration', () => {
  test.each<[string, Role, unknown]>([
    ['setTerms', 'pauser', defaultTerms],
    ['setRegistry', 'node', ZeroAddress],
    ['setPaused', 'admin', true],
    ['grantRole', 'verifier', id('VERIFIER_ROLE')],
  ])('%s by %s: throws', async (method, role, argument) => {
    const args = method === 'grantRole' ? [argument, escrow.address.stranger] : [argument];
    expect(await escrow.refusal(role, method, ...args)).toBe('AccessControlUnauthorizedAccount');
  });

  test('new administrator: two steps, two days apart', async () => {
    await escrow.send('admin', 'beginDefaultAdminTransfer', escrow.address.other);
    expect(await escrow.refusal('other', 'acceptDefaultAdminTransfer')).toBe('AccessControlEnforcedDefaultAdminDelay');
    await escrow.warp(2 * 24 * 3600 + 1);
    await escrow.send('other', 'acceptDefaultAdminTransfer');
    expect((await escrow.read<string>('defaultAdmin')).toLowerCase()).toBe(escrow.address.other);
  });

  test('setActive: only the registry may call it, only active nodes process', async () => {
    const jobId = await escrow.jobIn('REQUESTED');
    expect(await escrow.refusal('other', 'process', jobId)).toBe('EmethCore_NodeNotActive');
    expect(await escrow.refusal('admin', 'setActive', escrow.address.other, true)).toBe('EmethCore_NotRegistry');
    await escrow.send('admin', 'setRegistry', escrow.address.stranger);
    expect(await escrow.refusal('node', 'process', jobId)).toBe('EmethCore_NodeNotActive');
    await escrow.send('stranger', 'setActive', escrow.address.other, true);
    await escrow.send('other', 'process', jobId);
    expect(await escrow.state(jobId)).toBe('PROCESSING');
  });

  test('no registry, then the old one again: it must report its nodes again', async () => {
    await escrow.send('admin', 'setRegistry', ZeroAddress);
    await escrow.send('other', 'process', await escrow.jobIn('REQUESTED'));
    await escrow.send('admin', 'setRegistry', escrow.on.registry.address);
    const jobId = await escrow.jobIn('REQUESTED');
    expect(await escrow.refusal('node', 'process', jobId)).toBe('EmethCore_NodeNotActive');
    await escrow.on.registry.send('stranger', 'sync', escrow.address.node);
    await escrow.send('node', 'process', jobId);
  });
});

describe('token', () => {
  test('mint: only the named reward pool, and only up to the cap', async () => {
    const { other, stranger } = escrow.address;
    const { pool } = escrow.on;
    expect(await escrow.refusalOfToken('admin', 'mint', other, 1n)).toBe('EmethToken_NotRewardPool');
    expect(await escrow.refusalOfToken('stranger', 'nameRewardPool', stranger)).toBe('EmethToken_NotDeployer');
    expect(await escrow.refusalOfToken('admin', 'nameRewardPool', other)).toBe('EmethToken_NotDeployer');
    const room = (await escrow.readToken<bigint>('cap')) - (await escrow.readToken<bigint>('totalSupply'));
    expect(await mintAs(pool.address, stranger, room + 1n)).toContain('EmethToken_CapExceeded');
    expect(await mintAs(pool.address, stranger, room)).toBeUndefined();
  });

  async function mintAs(from: string, to: string, amount: bigint): Promise<string | undefined> {
    const data = tokenInterface.encodeFunctionData('mint', [to, amount]);
    return escrow.provider.send('eth_call', [{ from, to: escrow.token, data }, 'latest']).then(
      () => undefined,
      (error) => tokenInterface.parseError(error.info?.error?.data ?? error.error?.data ?? '0x')?.name ?? String(error),
    );
  }
});
