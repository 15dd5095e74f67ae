/** Deposits, job ids, pay and withdrawals, called with ethers as the clients call them. */
import { parseEther, Wallet } from 'ethers';
import { buildPayouts } from '../../src/chain/acts/payouts';
import type { Address } from '../../src/domain/ids';
import { devKeys } from '../../src/runner/anvil';
import {
  afterClaims,
  changes,
  commitmentOf,
  dataset,
  type Escrow,
  FEE,
  FUEL,
  openEscrow,
  params,
  type Role,
  result,
  resultHash,
  roles,
  USED,
} from '../support/escrow';

const emt = (amount: number) => parseEther(String(amount));
const salt = `0x${'5a'.repeat(32)}`;

let escrow: Escrow;
beforeAll(async () => {
  escrow = await openEscrow();
});
beforeEach(() => escrow.reset());
afterAll(() => escrow?.[Symbol.asyncDispose]());

const tokens = (account: Address) => escrow.readToken<bigint>('balanceOf', account);

describe('paying in', () => {
  test('request: pulls the fee, the verifier fee and the burn fee', async () => {
    const { requester } = escrow.address;
    const before = await tokens(requester);
    await escrow.request();
    expect(before - (await tokens(requester))).toBe(emt(1100));
    expect(await tokens(escrow.core)).toBe(emt(1100));
  });

  test.each<[string, Role, number, () => Promise<unknown>]>([
    ['request', 'requester', 1100, () => escrow.request()],
    ['process', 'node', 1000, async () => escrow.send('node', 'process', await escrow.request())],
  ])('%s with credit: uses the credit first', async (_name, role, amount, act) => {
    const account = escrow.address[role];
    await escrow.send(role, 'deposit', account, emt(600));
    const before = await tokens(account);
    await act();
    expect(before - (await tokens(account))).toBe(emt(amount - 600));
    expect(await escrow.read<bigint>('credit', account)).toBe(0n);
  });

  test('request with enough credit: no token moves', async () => {
    await escrow.send('requester', 'deposit', escrow.address.requester, emt(2000));
    const before = await tokens(escrow.core);
    await escrow.request();
    expect(await tokens(escrow.core)).toBe(before);
    expect(await escrow.read<bigint>('credit', escrow.address.requester)).toBe(emt(900));
  });

  test('deposit for another account: that account gets the credit', async () => {
    await escrow.send('stranger', 'deposit', escrow.address.node, emt(5));
    expect((await escrow.credits()).node).toBe(emt(5));
  });

  test('tokens not approved: throws ERC20InsufficientAllowance', async () => {
    await escrow.sendToken('requester', 'approve', escrow.core, 0n);
    await expect(escrow.request()).rejects.toThrow('ERC20InsufficientAllowance');
  });

  test('withdraw: pays the named account, and no more than is owed', async () => {
    await escrow.send('node', 'deposit', escrow.address.node, emt(5));
    const before = await tokens(escrow.address.other);
    await escrow.send('node', 'withdraw', escrow.address.other, emt(3));
    expect((await tokens(escrow.address.other)) - before).toBe(emt(3));
    expect(await escrow.refusal('node', 'withdraw', escrow.address.node, emt(3))).toBe('EmethCore_NotEnoughCredit');
  });
});

describe('job ids', () => {
  const job = async () => [dataset, params, FEE, FUEL, (await escrow.now()) + 3600n, salt];

  test('same request by two accounts: two different ids', async () => {
    const args = await job();
    const idOf = async (role: Role) => (await escrow.send(role, 'request', ...args)).events.at(-1)!.args['jobId'];
    expect(await idOf('stranger')).not.toBe(await idOf('requester'));
  });

  test('same job requested again: throws EmethCore_JobExists', async () => {
    const args = await job();
    await escrow.send('requester', 'request', ...args);
    await expect(escrow.send('requester', 'request', ...args)).rejects.toThrow('EmethCore_JobExists');
  });

  test.each<[string, number, bigint, string]>([
    ['fee', 2, emt(1) - 1n, 'EmethCore_FeeTooLow'],
    ['fuel limit', 3, 0n, 'EmethCore_NoFuel'],
    ['early deadline', 4, 0n, 'EmethCore_DeadlineTooNear'],
    ['late deadline', 4, 2n ** 40n - 1n, 'EmethCore_DeadlineTooFar'],
  ])('%s out of bounds: throws', async (_name, index, value, error) => {
    expect(await escrow.refusal('requester', 'request', ...(await job()).with(index, value))).toBe(error);
  });
});

describe('workers’ pay', () => {
  const claim = (jobId: string, index: number, changed: Partial<{ worker: string; amount: bigint }> = {}) => {
    const { worker, amount } = { ...escrow.payees[index]!, ...changed };
    return ['claimPay', jobId, resultHash, escrow.payoutRoot, index, worker, amount, escrow.proofOf(index)] as const;
  };

  test('each line claimed: no line is paid again', async () => {
    const jobId = await escrow.jobIn('VERIFIED');
    for (const index of [2, 0, 1]) await escrow.send('stranger', ...claim(jobId, index));
    for (const index of [0, 1, 2]) {
      expect(await escrow.refusal('stranger', ...claim(jobId, index))).toBe('EmethCore_AlreadyClaimed');
    }
    expect(await escrow.refusal('stranger', 'payWorkers', jobId, resultHash, escrow.payees)).toBe(
      'EmethCore_WrongPayout',
    );
  });

  test('another worker, amount or index: throws EmethCore_WrongProof', async () => {
    const jobId = await escrow.jobIn('VERIFIED');
    for (const changed of [{ worker: escrow.address.stranger }, { amount: emt(341) }]) {
      expect(await escrow.refusal('stranger', ...claim(jobId, 1, changed))).toBe('EmethCore_WrongProof');
    }
    const [method, ...args] = claim(jobId, 1);
    expect(await escrow.refusal('stranger', method, ...args.with(3, 7n))).toBe('EmethCore_WrongProof');
  });

  test('payWorkers after a claim: throws EmethCore_WrongPayout', async () => {
    const jobId = await escrow.jobIn('VERIFIED');
    await escrow.send('worker', ...claim(jobId, 1));
    expect(await escrow.refusal('stranger', 'payWorkers', jobId, resultHash, escrow.payees)).toBe(
      'EmethCore_WrongPayout',
    );
  });

  test('claim after payWorkers: throws EmethCore_WrongPayout', async () => {
    const jobId = await escrow.jobIn('VERIFIED');
    await escrow.send('stranger', 'payWorkers', jobId, resultHash, escrow.payees);
    expect(await escrow.refusal('worker', ...claim(jobId, 1))).toBe('EmethCore_WrongPayout');
    expect(await escrow.refusal('stranger', 'payWorkers', jobId, resultHash, escrow.payees)).toBe(
      'EmethCore_WrongPayout',
    );
  });

  test('claim window over: the node gets what nobody claimed', async () => {
    const jobId = await escrow.jobIn('VERIFIED');
    await escrow.send('worker', ...claim(jobId, 1));
    await escrow.warp(afterClaims);
    const before = await escrow.credits();
    await escrow.send('node', 'sweepUnclaimed', jobId);
    expect(changes(before, await escrow.credits())).toEqual({ node: emt(260) });
    expect(await escrow.refusal('other', ...claim(jobId, 2))).toBe('EmethCore_WrongPayout');
  });

  /** Makes a verified job whose node committed to this list, whatever its sum. */
  async function verifiedWith(payees: Escrow['payees'], fuelUsed = USED) {
    const tree = buildPayouts(payees.map(({ worker, amount }, index) => ({ index, worker, amountWei: amount })));
    const jobId = await escrow.jobIn('PROCESSING');
    await escrow.send('node', 'submit', jobId, resultHash, fuelUsed, tree.root, result);
    await escrow.send('verifier', 'verify', jobId, commitmentOf(tree.root), '0x');
    return { jobId, tree };
  }

  test('list promises more than was earned: claims stop at what was earned', async () => {
    const payees = [
      { worker: escrow.address.worker, amount: emt(500) },
      { worker: escrow.address.other, amount: emt(500) },
    ];
    const { jobId, tree } = await verifiedWith(payees);
    const args = (i: number) => [jobId, resultHash, tree.root, i, payees[i]!.worker, emt(500), tree.proofOf(i)];
    await escrow.send('worker', 'claimPay', ...args(0));
    expect(await escrow.refusal('other', 'claimPay', ...args(1))).toBe('EmethCore_WrongPayout');
    expect(await escrow.refusal('other', 'payWorkers', jobId, resultHash, payees)).toBe('EmethCore_WrongPayout');
  });

  test.each([1, 2, 3, 5, 8, 15, 16])('%i payees: one call pays them all', async (count) => {
    const payees = Array.from({ length: count }, (_, i) => ({
      worker: `0x${(i + 1).toString(16).padStart(40, '0')}` as Address,
      amount: emt(600) / BigInt(count) + (i === 0 ? emt(600) % BigInt(count) : 0n),
    }));
    const { jobId } = await verifiedWith(payees);
    await escrow.send('stranger', 'payWorkers', jobId, resultHash, payees);
    for (const { worker, amount } of payees) expect(await escrow.read('credit', worker)).toBe(amount);
  });

  test('17 payees: throws EmethCore_TooManyPayees', async () => {
    const payees = Array.from({ length: 17 }, () => ({ worker: escrow.address.worker, amount: emt(600) / 17n }));
    const { jobId } = await verifiedWith(payees);
    expect(await escrow.refusal('stranger', 'payWorkers', jobId, resultHash, payees)).toBe('EmethCore_TooManyPayees');
  });

  test('no fuel used: the requester gets the whole fee back', async () => {
    const before = await escrow.credits();
    await verifiedWith([{ worker: escrow.address.node, amount: 0n }], 0n);
    expect(changes(before, await escrow.credits())).toEqual({
      requester: emt(1050),
      node: emt(1000),
      verifier: emt(50),
    });
  });
});

describe('what is burnt', () => {
  test.each<[string, 'FAILED' | 'VERIFIED', number]>([
    ['penalties', 'FAILED', 150],
    ['burn fees of verified jobs', 'VERIFIED', 30],
  ])('burn by anybody: %s leave the supply', async (_what, state, amount) => {
    await escrow.jobIn(state);
    const before = await escrow.readToken<bigint>('totalSupply');
    await escrow.send('stranger', 'burn', escrow.address.node);
    expect(before - (await escrow.readToken<bigint>('totalSupply'))).toBe(emt(amount));
    expect((await escrow.credits()).penalties).toBe(0n);
  });
});

describe('withdrawals by signature', () => {
  const fields = ['account', 'to', 'amount', 'tip', 'nonce', 'deadline'];
  const types = {
    Withdrawal: fields.map((name) => ({ name, type: ['account', 'to'].includes(name) ? 'address' : 'uint256' })),
  };

  /** Returns arguments for `withdrawWithSig` of 3 EMT and a tip of 1, signed by a role. */
  async function signed(by: Role, changed: { deadline?: bigint; nonce?: bigint; amount?: bigint } = {}) {
    const wallet = new Wallet(devKeys[roles.indexOf(by)]!);
    const deadline = changed.deadline ?? (await escrow.now()) + 60n;
    const nonce = changed.nonce ?? (await escrow.read<bigint>('nonces', escrow.address.node));
    const [amount, tip] = [changed.amount ?? emt(3), emt(1)];
    const { node: account, other: to } = escrow.address;
    const domain = { name: 'EmethCore', version: '1', chainId: 31337, verifyingContract: escrow.core };
    const signature = await wallet.signTypedData(domain, types, { account, to, amount, tip, nonce, deadline });
    return [account, to, amount, tip, deadline, signature];
  }

  beforeEach(() => escrow.send('node', 'deposit', escrow.address.node, emt(5)));

  test('signature brought by somebody else: the bringer gets the tip', async () => {
    const [before, tokensBefore] = [await escrow.credits(), await tokens(escrow.address.other)];
    await escrow.send('stranger', 'withdrawWithSig', ...(await signed('node')));
    expect(changes(before, await escrow.credits())).toEqual({ node: -emt(4), stranger: emt(1) });
    expect((await tokens(escrow.address.other)) - tokensBefore).toBe(emt(3));
  });

  test('signature used again: throws EmethCore_WrongSignature', async () => {
    const args = await signed('node', { amount: emt(1) });
    await escrow.send('stranger', 'withdrawWithSig', ...args);
    expect(await escrow.refusal('stranger', 'withdrawWithSig', ...args)).toBe('EmethCore_WrongSignature');
  });

  test.each<[string, string, () => Promise<unknown[]>]>([
    ['another account’s signature', 'EmethCore_WrongSignature', () => signed('requester')],
    ['another amount', 'EmethCore_WrongSignature', async () => (await signed('node')).with(2, emt(4))],
    [
      'another receiver',
      'EmethCore_WrongSignature',
      async () => (await signed('node')).with(1, escrow.address.stranger),
    ],
    ['another tip', 'EmethCore_WrongSignature', async () => (await signed('node')).with(3, emt(2))],
    ['an expired signature', 'EmethCore_SignatureExpired', () => signed('node', { deadline: 1n })],
    ['more than the credit', 'EmethCore_NotEnoughCredit', () => signed('node', { amount: emt(5) })],
  ])('%s: throws %s', async (_name, error, args) => {
    expect(await escrow.refusal('stranger', 'withdrawWithSig', ...(await args()))).toBe(error);
  });
});
