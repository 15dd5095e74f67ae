/** `emeth withdraw` of pay that has to be claimed first. */
import { Wallet } from 'ethers';
import { Address } from '../../../../src/domain/ids';
import { devKeys } from '../../../../src/runner/anvil';
import { tokenInterface } from '../../../support/escrow';
import { openHeldNode } from '../../../support/held-node';
import { FEE_WEI, openUnclaimedPay, type Payout, type UnclaimedPay } from '../../../support/unclaimed-pay';

const [, nodeKey, workerKey] = devKeys;
const worker = Address.parse(new Wallet(workerKey).address);
const node = Address.parse(new Wallet(nodeKey).address);

let pay: UnclaimedPay;
let asWorker: (...argv: string[]) => Promise<Record<string, unknown>>;
beforeEach(async () => {
  pay = await openUnclaimedPay();
  asWorker = await pay.client.as(workerKey, { storageApi: pay.storageApi });
});
afterEach(() => pay[Symbol.asyncDispose]());

const dataDir = () => pay.client.file(workerKey.slice(2, 8));

/** A list of so many workers; one of them is this account. */
function among(workers: number, place: number, amountWei: bigint): Payout[] {
  return Array.from({ length: workers }, (_, i) =>
    i === place ? { worker, amountWei } : { worker: node, amountWei: 1000n + BigInt(i) },
  );
}

describe('pay that nobody claimed, by the receipts of a worker', () => {
  test('a large and a small job, with credit: all in one transaction, to the last wei', async () => {
    const large = await pay.verify(among(20, 17, 1_234_567_890_123_456_789n));
    const small = await pay.verify(among(2, 1, 987_654_321n));
    const list = [
      { worker, amountWei: 555n },
      { worker: node, amountWei: FEE_WEI - 555n },
    ];
    const paid = await pay.verify(list, { isPaid: true });
    const lost = await pay.verify(among(2, 0, 777n), { isStored: false });
    const others = await pay.verify([{ worker: node, amountWei: FEE_WEI }]);
    await pay.giveReceipts(dataDir(), [large, small, paid, lost, others]);
    const owedWei = 1_234_567_890_123_456_789n + 987_654_321n + 555n;
    const facts = {
      amountWei: String(owedWei),
      creditBefore: '555',
      claims: [
        { jobId: large, amountWei: '1234567890123456789' },
        { jobId: small, amountWei: '987654321' },
      ],
    };
    const [sentBefore, tokensBefore] = [await pay.client.provider.getTransactionCount(worker), await tokens()];
    expect(await asWorker('withdraw', '--dry-run')).toMatchObject({ ...facts, sent: false });
    expect(await asWorker('withdraw')).toMatchObject({ ...facts, sent: true, creditAfter: '0' });
    expect((await tokens()) - tokensBefore).toBe(owedWei);
    expect(await asWorker('withdraw')).toMatchObject({ amountWei: '0', claims: [], sent: false });
    expect((await pay.client.provider.getTransactionCount(worker)) - sentBefore).toBe(1);
  });

  test('more claims than fit in one transaction: two are estimated and sent', async () => {
    const mine = Array.from({ length: 80 }, (_, i) => ({ worker, amountWei: 10n ** 15n + BigInt(i) }));
    await pay.giveReceipts(dataDir(), [await pay.verify(mine)]);
    const owedWei = mine.reduce((sum, { amountWei }) => sum + amountWei, 0n);
    const tokensBefore = await tokens();
    const { maxFeePerGas } = await pay.client.provider.getFeeData();
    const { gasWei } = await asWorker('withdraw', '--dry-run');
    const told = await asWorker('withdraw');
    expect(told).toMatchObject({ amountWei: String(owedWei), sent: true, creditAfter: '0' });
    expect(told['hashes']).toHaveLength(2);
    expect((await tokens()) - tokensBefore).toBe(owedWei);
    const receipts = (told['hashes'] as string[]).map((hash) => pay.client.provider.getTransactionReceipt(hash));
    const usedGas = (await Promise.all(receipts)).reduce((sum, receipt) => sum + (receipt?.gasUsed ?? 0n), 0n);
    expect(BigInt(String(gasWei)) / (maxFeePerGas ?? 1n)).toBeGreaterThanOrEqual(usedGas);
  });

  test('node credits some of it meanwhile: all comes out all the same', async () => {
    await using held = await openHeldNode(pay.client.url);
    const asSlowWorker = await pay.client.as(workerKey, { storageApi: pay.storageApi, endpoint: held.url });
    const [large, small] = [await pay.verify(among(20, 17, 1000n)), await pay.verify(among(2, 1, 10n))];
    await pay.giveReceipts(dataDir(), [large, small]);
    const tokensBefore = await tokens();
    const reached = held.holdAt({ method: 'eth_estimateGas', nth: 1, isForwarded: false });
    const withdrawing = asSlowWorker('withdraw');
    const letGo = await Promise.race([reached, withdrawing.then(() => Promise.reject(new Error('It asked nothing')))]);
    await pay.credit(large, 17);
    letGo();
    expect(await withdrawing).toMatchObject({ amountWei: '1010', creditBefore: '1000', sent: true, creditAfter: '0' });
    expect((await tokens()) - tokensBefore).toBe(1010n);
  });
});

async function tokens(): Promise<bigint> {
  const data = tokenInterface.encodeFunctionData('balanceOf', [worker]);
  return BigInt(await pay.client.provider.call({ to: pay.client.token, data }));
}
