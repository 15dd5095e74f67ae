/** `emeth withdraw`: waiting, costs, sweeping and its errors. */
import { readFile, writeFile } from 'node:fs/promises';
import { Wallet } from 'ethers';
import { buildPayouts } from '../../../../src/chain/acts/payouts';
import { Address, JobId } from '../../../../src/domain/ids';
import { systemClock } from '../../../../src/lib/clock';
import { devKeys } from '../../../../src/runner/anvil';
import { type ClientChain, openClientChain, sampleDataset } from '../../../support/client-chain';

const EMT = 10n ** 18n;
const DAY_S = 86_400;
const [, nodeKey, otherKey] = devKeys;
const node = Address.parse(new Wallet(nodeKey).address);
const other = Address.parse(new Wallet(otherKey).address);

let client: ClientChain;
beforeEach(async () => {
  client = await openClientChain();
});
afterEach(() => client[Symbol.asyncDispose]());

const request = ['request', '--dataset', sampleDataset, '--fee', '20emt', '--fuel-limit', '1000'];
const sentBy = (account: Address) => client.provider.getTransactionCount(account);

/** A job of the node's, all of whose pay is `worker`'s, accepted by the requester. */
async function verifiedJob(worker: Address): Promise<JobId> {
  await using opened = await client.openNode();
  const jobId = JobId.parse((await client.run(...request)).jobId);
  const { root: payoutRoot } = buildPayouts([{ index: 0, worker, amountWei: 20n * EMT }]);
  await opened.emeth.process(jobId);
  await opened.emeth.submit({ jobId, resultHash: `0x${'01'.repeat(32)}`, payoutRoot }, 1000n, 'r');
  await client.run('accept', jobId);
  return jobId;
}

/** Credit of the requester's own. */
async function haveCredit(): Promise<void> {
  await client.run('cancel', (await client.run(...request)).jobId ?? '');
}

describe('withdraw', () => {
  test('with confirmations: returns when so many blocks are on top, and not before', async () => {
    const asOther = await client.as(otherKey, { confirmations: 2 });
    await haveCredit();
    await writeFile(client.file('w.json'), JSON.stringify(await client.run('withdraw', '--sign', '--to', other)));
    let isDone = false;
    const relaying = asOther('withdraw', '--relay', client.file('w.json')).then((told) => {
      isDone = true;
      return told;
    });
    while ((await sentBy(other)) === 0) await systemClock.sleep(10);
    await client.provider.send('evm_mine', []);
    await systemClock.sleep(500);
    expect(isDone).toBe(false);
    await client.provider.send('evm_mine', []);
    expect(await relaying).toMatchObject({ sent: true });
  });

  test('with confirmations and --no-wait: returns when it is mined', async () => {
    await haveCredit();
    const config = JSON.parse(await readFile(client.file('client.json'), 'utf8'));
    await writeFile(client.file('client.json'), JSON.stringify({ ...config, confirmations: 5 }), { mode: 0o600 });
    expect(await client.run('withdraw', '--no-wait')).toMatchObject({ sent: true, creditAfter: '0' });
  });

  test('gas cost: shown before sending, and with the outcome', async () => {
    await haveCredit();
    const dry = await client.run('withdraw', '--dry-run');
    expect(Number(dry.gasWei)).toBeGreaterThan(0);
    expect(Number((await client.run('withdraw')).gasWei)).toBeGreaterThan(0);
  });

  test('--sweep: unclaimed pay comes to the node with its credit, in one transaction', async () => {
    const jobId = await verifiedJob(other);
    const asNode = await client.as(nodeKey);
    await expect(asNode('withdraw', '--sweep', jobId)).rejects.toThrow('its workers may claim until');
    await expect(client.run('withdraw', '--sweep', jobId)).rejects.toThrow(`its node is ${node}`);
    await client.warp(181 * DAY_S);
    const before = await sentBy(node);
    const facts = { amountWei: String(40n * EMT), sweeps: [{ jobId, amountWei: String(20n * EMT) }] };
    expect(await asNode('withdraw', '--sweep', jobId, '--dry-run')).toMatchObject({ ...facts, sent: false });
    expect(await asNode('withdraw', '--sweep', jobId)).toMatchObject({ amountWei: facts.amountWei, sent: true });
    // The second is for the day's reward, which is another contract's.
    expect((await sentBy(node)) - before).toBe(2);
    await expect(asNode('withdraw', '--sweep', jobId)).rejects.toThrow('all of its pay is claimed');
  });
});

describe('withdraw --sign, --relay', () => {
  test('--dry-run: nothing is sent, and the cost is shown', async () => {
    await haveCredit();
    await writeFile(client.file('w.json'), JSON.stringify(await client.run('withdraw', '--sign')));
    const [asOther, before] = [await client.as(otherKey), await sentBy(other)];
    const told = await asOther('withdraw', '--relay', client.file('w.json'), '--dry-run');
    expect(told).toMatchObject({ sent: false });
    expect(Number(told['gasWei'])).toBeGreaterThan(0);
    expect(await sentBy(other)).toBe(before);
  });

  test.each([
    ['both at once', ['--sign', '--relay', 'w.json'], 'usage/two-acts'],
    ['a tip that nobody signs', ['--tip', '1emt'], 'usage/two-acts'],
    ['nothing to sign for', ['--sign'], 'withdraw/too-little'],
    ['a file that is not there', ['--relay', 'nowhere.json'], 'usage/unreadable-file'],
  ])('%s: refused', async (_name, argv, code) => {
    expect(await client.runFailing('withdraw', ...argv)).toMatchObject({ code });
  });

  test.each([
    ['no JSON', 'hello', 'it is not JSON'],
    ['no withdrawal', '{"account":"0x12"}', 'account is wrong: '],
  ])('file with %s: throws usage/bad-file', async (_name, text, problem) => {
    await writeFile(client.file('bad.json'), text);
    const refusal = await client.runFailing('withdraw', '--relay', client.file('bad.json'));
    expect(refusal).toMatchObject({ status: 2, code: 'usage/bad-file' });
    expect(refusal.message).toContain(problem);
  });
});
