/** The registry commands on a real chain, from registration to the stake’s return. */
import { readFile, writeFile } from 'node:fs/promises';
import { Wallet } from 'ethers';
import { Address, JobId } from '../../../../src/domain/ids';
import { devKeys } from '../../../../src/runner/anvil';
import { type ClientChain, openClientChain, sampleDataset } from '../../../support/client-chain';

const EMT = 10n ** 18n;
const DAY_S = 86_400;
/** A node locks as much as the job pays. */
const DEPOSIT_WEI = String(20n * EMT);
const [, nodeKey, otherKey] = devKeys;
const other = Address.parse(new Wallet(otherKey).address);

let client: ClientChain;
beforeEach(async () => {
  client = await openClientChain();
});
afterEach(() => client[Symbol.asyncDispose]());

const register = (...more: string[]) => ['register-node', '--organization', 'acme', '--wallet-account', other, ...more];

describe('register-node', () => {
  test('first node: creates the organisation, locks the stake, is visible to all', async () => {
    const before = BigInt((await client.run('node')).tokenWei ?? '');
    expect(await client.run(...register('--compute-units', '7'))).toMatchObject({
      node: client.requester,
      status: 'ACTIVE',
      organisation: 'acme',
      operator: client.requester,
      payout: other,
      computeUnits: 7,
      stakeWei: String(10n * EMT),
    });
    expect(before - BigInt((await client.run('node')).tokenWei ?? '')).toBe(10n * EMT);
    const bare = client.requester.slice(2);
    expect(await client.run('query-node', '--node-addr', bare)).toMatchObject({ organisation: 'acme' });
    const { nodes } = await client.run<{ nodes: unknown[] }>('query-all-nodes');
    expect(nodes).toMatchObject([{ node: client.requester }]);
  });

  test('registered already: nothing is sent', async () => {
    await client.run(...register());
    const nonce = await client.provider.getTransactionCount(client.requester);
    expect(await client.run(...register())).toMatchObject({ status: 'ACTIVE' });
    expect(await client.provider.getTransactionCount(client.requester)).toBe(nonce);
  });

  test('node is another account: it signs, and the operator registers it', async () => {
    const asNode = await client.as(nodeKey);
    const node = Address.parse(new Wallet(nodeKey).address);
    await writeFile(
      client.file('node.enrolment'),
      JSON.stringify(await asNode(...register('--sign', client.requester))),
    );
    const asOperator = register('--node-addr', node, '--enrolment', client.file('node.enrolment'));
    expect(await client.run(...asOperator)).toMatchObject({ node, operator: client.requester, status: 'ACTIVE' });
  });

  test('no signature, or one of other terms: no-consent, other-enrolment', async () => {
    const node = new Wallet(nodeKey).address;
    expect(await client.runFailing(...register('--node-addr', node))).toMatchObject({ code: 'registry/no-consent' });
    const asNode = await client.as(nodeKey);
    await writeFile(
      client.file('node.enrolment'),
      JSON.stringify(await asNode(...register('--sign', client.requester))),
    );
    const changed = register('--node-addr', node, '--enrolment', client.file('node.enrolment'), '--compute-units', '9');
    expect(await client.runFailing(...changed)).toMatchObject({ code: 'registry/other-enrolment' });
  });

  test('organisation of somebody else: throws registry/other-owner', async () => {
    await client.run(...register());
    const asOther = await client.as(nodeKey);
    await expect(asOther(...register())).rejects.toThrow('does not own that organisation');
  });

  test('unregistered node: throws registry/unknown-node', async () => {
    expect(await client.runFailing('query-node', '--node-addr', other)).toMatchObject({
      code: 'registry/unknown-node',
    });
  });
});

test('stake, unregister-node: more stake, a week of unbonding, then all of it back', async () => {
  const before = (await client.run('node')).tokenWei;
  await client.run(...register());
  expect(await client.run('stake', '--amount', '5emt')).toMatchObject({ stakeWei: String(15n * EMT) });
  expect(await client.run('unregister-node')).toMatchObject({ did: 'deactivated', status: 'UNBONDING' });
  expect(await client.run('unregister-node')).toMatchObject({ did: 'waits' });
  expect(await client.run('unregister-node', '--undo')).toMatchObject({ did: 'reactivated', status: 'ACTIVE' });
  await client.run('unregister-node');
  await client.warp(7 * DAY_S + 1);
  expect(await client.run('unregister-node')).toMatchObject({ did: 'stake-withdrawn' });
  expect((await client.run('node')).tokenWei).toBe(before);
});

test('payout: proposed, confirmed by the wallet two days later, or cancelled', async () => {
  const next = Address.parse(new Wallet(nodeKey).address);
  const asNext = await client.as(nodeKey);
  const confirm = ['payout', '--node-addr', client.requester, '--confirm'];
  await client.run(...register());
  expect(await client.run('payout', '--to', next)).toMatchObject({ payout: other, nextPayout: { payout: next } });
  await expect(asNext(...confirm)).rejects.toThrow('has to wait until');
  await client.warp(2 * DAY_S);
  expect(await asNext(...confirm)).toMatchObject({ payout: next });
  await client.run('payout', '--to', other);
  const { nextPayout } = await client.run('payout', '--cancel');
  expect(nextPayout).toBeUndefined();
  expect(await client.runFailing('payout')).toMatchObject({ code: 'usage/payout' });
});

type TestNode = Awaited<ReturnType<ClientChain['openNode']>>;

/** A job of 20 EMT. */
async function requestJob(): Promise<JobId> {
  const request = ['request', '--dataset', sampleDataset, '--fee', '20emt', '--fuel-limit', '1000'];
  return JobId.parse((await client.run(...request)).jobId);
}

/** A result that used all of what the job may use. */
async function submitResult({ emeth }: TestNode, jobId: JobId): Promise<void> {
  await emeth.submit({ jobId, resultHash: `0x${'01'.repeat(32)}`, payoutRoot: `0x${'02'.repeat(32)}` }, 1000n, 'r');
}

/** A job of 20 EMT with a result. */
async function submitJob(): Promise<JobId> {
  await using node = await client.openNode();
  const jobId = await requestJob();
  await node.emeth.process(jobId);
  await submitResult(node, jobId);
  return jobId;
}

async function finishJob(): Promise<void> {
  expect(await client.run('accept', await submitJob())).toMatchObject({ state: 'VERIFIED' });
}

test('rewards of closed days: shown, claimed once, paid to the payout wallet', async () => {
  const node = Address.parse(new Wallet(nodeKey).address);
  const asNode = await client.as(nodeKey);
  await finishJob();
  expect(await client.run('query-node-incentive', '--node-addr', node)).toMatchObject({
    creditWei: String(20n * EMT),
    unclaimedSlots: [],
    jobs: { VERIFIED: 1 },
  });
  await client.warp(DAY_S);
  // 5 % of 20 EMT were burnt, and 80 % of that is the most a reward may be.
  const rewardWei = String((8n * EMT) / 10n);
  expect(await client.run('query-node-incentive', '--node-addr', node)).toMatchObject({ unclaimedWei: rewardWei });
  const before = BigInt(String((await asNode('node')).tokenWei));
  expect(await asNode('withdraw', '--dry-run')).toMatchObject({ rewardWei, sent: false });
  expect(await asNode('withdraw')).toMatchObject({ rewardWei, amountWei: String(20n * EMT), creditAfter: '0' });
  expect(BigInt(String((await asNode('node')).tokenWei)) - before).toBe(20n * EMT + BigInt(rewardWei));
  expect(await asNode('withdraw')).toMatchObject({ rewardWei: '0', amountWei: '0', sent: false });
});

test('query-node-incentive: deposits count until their job has ended', async () => {
  const node = Address.parse(new Wallet(nodeKey).address);
  const incentives = () => client.run('query-node-incentive', '--node-addr', node);
  await using taker = await client.openNode();
  const taken = await requestJob();
  await requestJob();
  expect(await incentives()).toMatchObject({ lockedDepositsWei: '0', jobs: {} });
  await taker.emeth.process(taken);
  expect(await incentives()).toMatchObject({ lockedDepositsWei: DEPOSIT_WEI, jobs: { PROCESSING: 1 } });
  await submitResult(taker, taken);
  expect(await incentives()).toMatchObject({ lockedDepositsWei: DEPOSIT_WEI, jobs: { SUBMITTED: 1 } });
  await client.run('accept', taken);
  expect(await incentives()).toMatchObject({ lockedDepositsWei: '0', jobs: { VERIFIED: 1 } });
});

test('withdraw --sign, --relay: the account gets its credit, the sender the tip', async () => {
  await finishJob();
  const asNode = await client.as(nodeKey);
  const node = new Wallet(nodeKey).address;
  await client.provider.send('anvil_setBalance', [node, '0x0']);
  const before = BigInt(String((await asNode('node')).tokenWei));
  await writeFile(client.file('mine.json'), JSON.stringify(await asNode('withdraw', '--sign', '--tip', '1emt')));
  const creditBefore = BigInt((await client.run('node')).creditWei ?? '');
  const brought = await client.run('withdraw', '--relay', client.file('mine.json'));
  expect(BigInt(String((await asNode('node')).tokenWei)) - before).toBe(19n * EMT);
  expect(BigInt((await client.run('node')).creditWei ?? '') - creditBefore).toBe(EMT);
  const again = await client.run('withdraw', '--relay', client.file('mine.json'));
  expect(again).toEqual({ ...brought, gasWei: '0' });
  const edited = { ...JSON.parse(await readFile(client.file('mine.json'), 'utf8')), tipWei: String(2n * EMT) };
  await writeFile(client.file('edited.json'), JSON.stringify(edited));
  const refusal = await client.runFailing('withdraw', '--relay', client.file('edited.json'));
  expect(refusal.message).toContain('EmethCore_WrongSignature');
  const asOther = await client.as(otherKey);
  const late = asOther('withdraw', '--relay', client.file('mine.json'));
  await expect(late).rejects.toThrow('EmethCore_WrongSignature');
});

test('challenge: the bond is locked, and the job waits for the verifiers', async () => {
  const jobId = await submitJob();
  const bondWei = String(4n * EMT);
  expect(await client.run('challenge', jobId, '--dry-run')).toMatchObject({ bondWei, sent: false });
  expect(await client.run('challenge', jobId)).toMatchObject({ bondWei, state: 'DISPUTED' });
});

test.each([[['--dry-run']], [[]]])(
  'challenge %p: throws challenge/ended with the state of a job that has ended',
  async (more) => {
    const jobId = await submitJob();
    await client.run('accept', jobId);
    const nonce = await client.provider.getTransactionCount(client.requester);
    const refused = await client.runFailing('challenge', jobId, ...more);
    expect(refused).toMatchObject({ code: 'challenge/ended', message: expect.stringContaining('VERIFIED') });
    expect(await client.provider.getTransactionCount(client.requester)).toBe(nonce);
  },
);

test.each(['0wei', '0emt', '0.0emt'])('stake: throws for an amount of %s', async (nothing) => {
  await client.run(...register());
  expect(await client.runFailing('stake', '--amount', nothing)).toMatchObject({ status: 2 });
});

test('address with 0X: accepted', async () => {
  const loud = (address: string) => address.replace('0x', '0X').toUpperCase();
  const node = ['--node-addr', loud(client.requester)];
  await client.run('register-node', '--organization', 'acme', '--wallet-account', loud(other), ...node);
  expect(await client.run('query-node', ...node)).toMatchObject({ payout: other });
  expect(await client.run('query-node-incentive', ...node)).toMatchObject({ node: client.requester });
  expect(await client.run('stake', '--amount', '1wei', ...node)).toMatchObject({ node: client.requester });
  expect(await client.run('payout', ...node, '--to', loud(client.requester))).toMatchObject({
    nextPayout: { payout: client.requester },
  });
  expect(await client.run('unregister-node', ...node)).toMatchObject({ did: 'deactivated' });
});
