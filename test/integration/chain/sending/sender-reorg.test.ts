/** The sender when a reorganisation removes a mined act, and the wait until acts are final. */
import { openSender, type SenderOptions } from '../../../../src/chain/sending/sender';
import { systemClock } from '../../../../src/lib/clock';
import { type Logger, silentLogger } from '../../../../src/lib/logger';
import { type ChainAccounts, openChainAccounts, RECEIPT_LAG_MS } from '../../../support/chain-accounts';
import { tokenInterface } from '../../../support/escrow';
import { until } from '../../../support/until';

let accounts: ChainAccounts;
let closing: AbortController;

beforeAll(async () => {
  accounts = await openChainAccounts();
}, 30_000);

beforeEach(async () => {
  closing = new AbortController();
  await mine(5);
});

afterEach(async () => {
  closing.abort(new Error('over'));
  await accounts.reset();
});

afterAll(() => accounts[Symbol.asyncDispose]());

const provider = () => accounts.chain.provider;
const account = () => accounts.escrow.address.node;
const count = () => provider().getTransactionCount(account(), 'latest');
const received = () => provider().getBalance(accounts.escrow.address.other);
const transfer = (key: string) => ({ key, to: accounts.escrow.address.other, data: '0x', valueWei: 7n });
const intentOf = (key: string) => accounts.store.intents.get(`${account()}:${key}`);
const finality = { confirmations: 3 };

async function mine(blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i += 1) await provider().send('evm_mine', []);
}

/** Removes the last block with its transactions. */
async function reorganise(): Promise<void> {
  const before = await count();
  await provider().send('anvil_reorg', [1, []]);
  expect(await count()).toBe(before - 1);
}

async function open(options: SenderOptions = {}, logger: Logger = silentLogger) {
  const { chain, store, walletOf } = accounts;
  const deps = { chain, intents: store.intents, clock: systemClock, logger, signal: closing.signal };
  const usual = { pollMs: 10, resendMs: 50, receiptLagMs: RECEIPT_LAG_MS, lookBackMs: 10, finality };
  return openSender({ ...usual, ...options }, { ...deps, wallet: await walletOf('node') });
}

describe('mined act removed by a reorganisation', () => {
  test('same act requested again: sent again, once', async () => {
    const [before, had] = [await count(), await received()];
    const sender = await open();
    await sender.send(transfer('a'));
    await reorganise();
    const { hash } = await sender.send(transfer('a'));
    expect((await provider().getTransactionReceipt(hash))?.status).toBe(1);
    expect([await count(), (await received()) - had]).toEqual([before + 1, 7n]);
  });

  test('repeatable act requested again: the removed one is followed, not doubled', async () => {
    const [before, had] = [await count(), await received()];
    const sender = await open();
    const first = await sender.send({ ...transfer('a'), repeatable: true });
    await reorganise();
    const again = await sender.send({ ...transfer('a'), repeatable: true });
    expect(again).toEqual(first);
    expect([await count(), (await received()) - had]).toEqual([before + 1, 7n]);
    await sender.send({ ...transfer('a'), repeatable: true });
    expect((await received()) - had).toBe(14n);
  });

  test.each(['this process', 'another process, later'])('no request: noticed by %s', async (watcher) => {
    const [before, had] = [await count(), await received()];
    const sender = await open();
    await sender.send(transfer('a'));
    await reorganise();
    const keeping = (watcher === 'this process' ? sender : await open()).keep();
    await until(async () => (await count()) === before + 1);
    expect((await received()) - had).toBe(7n);
    closing.abort(new Error('over'));
    await keeping;
  });

  test('refused on the new chain: it has failed, and settle throws', async () => {
    const { escrow } = accounts;
    const sender = await open();
    const data = tokenInterface.encodeFunctionData('transfer', [escrow.address.other, 5n]);
    const { hash } = await sender.send({ key: 'tokens', to: escrow.token, data });
    await provider().send('evm_setAutomine', [false]);
    await reorganise();
    await provider().send('anvil_setCode', [escrow.token, '0x5f5ffd']);
    await provider().send('evm_setAutomine', [true]);
    await expect(sender.settle(hash)).rejects.toMatchObject({ code: 'chain/reverted' });
    expect((await intentOf('tokens')).state).toBe('failed');
  });
});

describe('settle', () => {
  test('confirmations reached: final then, and not before', async () => {
    const sender = await open();
    const { hash } = await sender.send(transfer('a'));
    let isSettled = false;
    const settling = sender.settle(hash).then((outcome) => {
      isSettled = true;
      return outcome;
    });
    await mine(2);
    await systemClock.sleep(100);
    expect([isSettled, (await intentOf('a')).state]).toEqual([false, 'mined']);
    await mine(1);
    expect(await settling).toEqual({ hash });
    expect((await intentOf('a')).state).toBe('final');
  });

  test('removed on the way: sent again first', async () => {
    const [before, had] = [await count(), await received()];
    const sender = await open();
    const { hash } = await sender.send(transfer('a'));
    await reorganise();
    const settling = sender.settle(hash);
    await until(async () => (await count()) === before + 1);
    await mine(3);
    expect(await settling).toEqual({ hash });
    expect((await received()) - had).toBe(7n);
  });

  test('chain with a finalized tag: the tag decides', async () => {
    const sender = await open({ finality: { confirmations: 1, preferTag: true } });
    const tagged = async () => (await provider().getBlock('finalized'))?.number ?? -1;
    const { hash } = await sender.send(transfer('a'));
    const block = (await provider().getTransactionReceipt(hash))?.blockNumber ?? 0;
    const settling = sender.settle(hash);
    await until(async () => {
      await mine(10);
      return (await intentOf('a')).state === 'final';
    });
    expect(await tagged()).toBeGreaterThanOrEqual(block);
    await settling;
  });

  test('process that sent it died: another that keeps watch makes it final', async () => {
    await (await open()).send(transfer('a'));
    await mine(3);
    const keeping = (await open()).keep();
    await until(async () => (await intentOf('a')).state === 'final');
    closing.abort(new Error('over'));
    await keeping;
  });

  test('node unreachable for a while: the wait goes on', async () => {
    const sender = await open();
    const { hash } = await sender.send(transfer('a'));
    let failures = 3;
    const { getBlockNumber } = provider();
    provider().getBlockNumber = async function flaky(this: unknown) {
      if (failures > 0) {
        failures -= 1;
        throw new Error('connect ECONNREFUSED');
      }
      return getBlockNumber.call(provider());
    };
    await mine(3);
    expect(await sender.settle(hash)).toEqual({ hash });
    expect(failures).toBe(0);
  });
});
