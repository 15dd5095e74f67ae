/** Large withdrawals cut into parts: what each costs on a real chain, and that parts can be resumed. */
import { toBeHex } from 'ethers';
import type { Claim } from '../../../../src/chain/acts/emeth';
import { buildPayouts } from '../../../../src/chain/acts/payouts';
import { openRewards, type Rewards } from '../../../../src/chain/acts/rewards';
import { cutSlots, cutWithdrawal } from '../../../../src/chain/acts/withdrawal-parts';
import { JobId } from '../../../../src/domain/ids';
import { type ChainAccounts, openChainAccounts } from '../../../support/chain-accounts';
import { commitmentOf, coreInterface, dataset, FUEL, params, type Role, resultHash } from '../../../support/escrow';

const EMT = 10n ** 18n;
const DAY_S = 86_400;
/** Limit for one part: a block holds several times as much; nodes refuse transactions above 16.7 million. */
const MAX_GAS = 5_000_000n;
/** Number of acts of one kind that fit into one block of the test chain. */
const ACTS_PER_BLOCK = 50;

let accounts: ChainAccounts;
beforeAll(async () => {
  accounts = await openChainAccounts();
});
beforeEach(() => accounts.escrow.reset());
afterAll(() => accounts[Symbol.asyncDispose]());

/** Calls a method once for each list of arguments, many calls to a transaction. */
async function forAll(role: Role, method: string, argsOf: readonly unknown[][]) {
  const events = [];
  for (let i = 0; i < argsOf.length; i += ACTS_PER_BLOCK) {
    const calls = argsOf.slice(i, i + ACTS_PER_BLOCK).map((args) => coreInterface.encodeFunctionData(method, args));
    events.push(...(await accounts.escrow.send(role, 'multicall', calls)).events);
  }
  return events;
}

async function jobsInWork(count: number, days: number): Promise<JobId[]> {
  const deadline = (await accounts.escrow.now()) + BigInt(days * DAY_S);
  const requests = Array.from({ length: count }, (_, i) => [dataset, params, EMT, FUEL, deadline, toBeHex(i, 32)]);
  const events = await forAll('requester', 'request', requests);
  const jobIds = events.flatMap(({ name, args }) => (name === 'JobRequested' ? JobId.parse(args['jobId']) : []));
  await forAll(
    'node',
    'process',
    jobIds.map((jobId) => [jobId]),
  );
  return jobIds;
}

/** Returns the gas limit of a transaction, which is a fifth above the estimate. */
async function gasLimitOf(hash: string): Promise<bigint> {
  return (await accounts.chain.provider.getTransaction(hash))?.gasLimit ?? 0n;
}

/** Returns claims of `count` verified jobs, each with so many workers that a proof has ten hashes. */
async function openClaims(count: number): Promise<Claim[]> {
  const worker = accounts.escrow.address.challenger;
  const list = Array.from({ length: 1000 }, (_, index) => ({
    index,
    worker,
    amountWei: 1n + BigInt(index),
    tokens: 1,
  }));
  const { root: payoutRoot, proofOf } = buildPayouts(list);
  const jobIds = await jobsInWork(count, 1);
  const result = [resultHash, FUEL / 2n, payoutRoot, 'sha256:result'];
  const submissions = jobIds.map((jobId) => [jobId, ...result]);
  const verdicts = jobIds.map((jobId) => [jobId, commitmentOf(payoutRoot), '0x']);
  await forAll('node', 'submit', submissions);
  await forAll('verifier', 'verify', verdicts);
  return list.slice(0, count).map((share, i) => ({
    ref: { jobId: jobIds[i] as JobId, resultHash, payoutRoot },
    share,
    proof: proofOf(i),
  }));
}

/** Lets the node earn a reward on each of `days` days. */
async function earnDaily(days: number): Promise<void> {
  const { escrow } = accounts;
  const { root } = buildPayouts([{ index: 0, worker: escrow.address.node, amountWei: EMT / 2n }]);
  for (const jobId of await jobsInWork(days, days + 2)) {
    await escrow.provider.send('evm_increaseTime', [DAY_S]);
    await escrow.send('node', 'submit', jobId, resultHash, FUEL / 2n, root, 'sha256:result');
    await escrow.send('requester', 'accept', jobId);
  }
  await escrow.warp(DAY_S);
}

describe('cutWithdrawal', () => {
  test('more claims than one part takes: every part fits a block and pays what it claims', async () => {
    const { escrow, chain, emethOf } = accounts;
    const { challenger, other, stranger } = escrow.address;
    const claims = await openClaims(80);
    await escrow.send('stranger', 'deposit', challenger, 7n);
    const parts = cutWithdrawal(7n, claims, []);
    expect(parts).toHaveLength(2);
    const emeth = await emethOf('challenger');
    const before = await chain.tokenBalance(other);
    for (const { amountWei, collected } of parts) {
      const { hash } = await emeth.withdraw(other, amountWei, collected);
      expect(await gasLimitOf(hash)).toBeLessThan(MAX_GAS);
    }
    expect((await chain.tokenBalance(other)) - before).toBe((80n * 81n) / 2n + 7n);
    expect([await chain.credit(challenger), await chain.credit(stranger)]).toEqual([0n, 0n]);
  });

  test('after an interrupted run: the parts are the ones it would have sent next', () => {
    const claims = Array.from({ length: 200 }, (_, i) => claimOf(BigInt(i)));
    const sweeps = Array.from({ length: 30 }, (_, i) => ({ jobId: jobIdOf(i), amountWei: 5n }));
    const parts = cutWithdrawal(3n, claims, sweeps);
    const [first] = parts;
    const left = claims.slice(first?.collected.claims?.length);
    expect(cutWithdrawal(3n, left, sweeps)).toEqual(parts.slice(1));
    expect(parts.reduce((sum, { amountWei }) => sum + amountWei, 0n)).toBe((199n * 200n) / 2n + 30n * 5n + 3n);
  });

  test.each([
    ['nothing', 0n, []],
    ['credit alone', 3n, [{ amountWei: 3n, collected: { claims: [], sweeps: [] } }]],
  ])('%s: cut into the expected parts', (_name, creditWei, parts) => {
    expect(cutWithdrawal(creditWei, [], [])).toEqual(parts);
  });
});

describe('cutSlots', () => {
  test('more days than one part takes: no part is too large for a block', async () => {
    const { escrow, chain, senderOf } = accounts;
    await earnDaily(260);
    const rewards = (await openRewards(chain)) as Rewards;
    const earned = await rewards.unclaimed(escrow.address.node);
    const parts = cutSlots(earned.map(({ slot }) => slot));
    expect(parts.map(({ length }) => length)).toEqual([250, 10]);
    const sender = await senderOf('node');
    const before = await chain.tokenBalance(escrow.address.node);
    for (const slots of parts)
      expect(await gasLimitOf((await rewards.claim(sender, slots)).hash)).toBeLessThan(MAX_GAS);
    const wei = earned.reduce((sum, { amountWei }) => sum + amountWei, 0n);
    expect((await chain.tokenBalance(escrow.address.node)) - before).toBe(wei);
    expect(await rewards.unclaimed(escrow.address.node)).toEqual([]);
  });
});

function jobIdOf(number: number): JobId {
  return JobId.parse(toBeHex(number, 16));
}

function claimOf(amountWei: bigint): Claim {
  const share = { index: 0, worker: accounts.escrow.address.worker, amountWei, tokens: 1 };
  return { ref: { jobId: jobIdOf(Number(amountWei)), resultHash, payoutRoot: resultHash }, share, proof: [] };
}
