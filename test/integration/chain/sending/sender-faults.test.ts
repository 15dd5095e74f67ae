/** The sender when the node fails, refuses, or has other transactions of the account. */
import { existsSync, writeFileSync } from 'node:fs';
import { parseEther } from 'ethers';
import { coreInterface } from '../../../../src/chain/contract/events';
import type { JobId } from '../../../../src/domain/ids';
import { systemClock } from '../../../../src/lib/clock';
import { crashPoints } from '../../../../src/lib/crash-point';
import { type ChainAccounts, openChainAccounts } from '../../../support/chain-accounts';
import { openScratch } from '../../../support/scratch';
import { until } from '../../../support/until';

let accounts: ChainAccounts;

beforeAll(async () => {
  accounts = await openChainAccounts();
}, 30_000);

afterEach(() => accounts.reset());

afterAll(() => accounts[Symbol.asyncDispose]());

const provider = () => accounts.chain.provider;
const countOf = (role: 'node' | 'challenger') =>
  provider().getTransactionCount(accounts.escrow.address[role], 'latest');
const pending = () => accounts.store.intents.listPending(accounts.escrow.address.node);
/**
 * Waits until the Ethereum node has a transaction of the account in its pool: bytes that are signed and
 * stored may still be on their way.
 */
const untilInPool = () =>
  until(
    async () =>
      (await provider().getTransactionCount(accounts.escrow.address.node, 'pending')) > (await countOf('node')),
  );
const transfer = (key: string) => ({ key, to: accounts.escrow.address.admin, data: '0x', valueWei: 1n });
const call = (key: string, method: string, jobId: string) => ({
  key,
  to: accounts.chain.core,
  data: coreInterface.encodeFunctionData(method, [jobId]),
});

type Provider = ReturnType<typeof provider>;

/** Returns the chain through a connection on which every call that `refuses` selects fails. */
function openFlaky(refuses: (method: string | symbol, args: readonly unknown[]) => boolean) {
  const flaky = new Proxy(provider(), {
    get(target, name: keyof Provider) {
      const member: unknown = target[name];
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (!refuses(name, args)) return member.apply(target, args);
        return Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
      };
    },
  });
  return { ...accounts.chain, provider: flaky };
}

describe('sender', () => {
  test('outage of the node after signing: waits, and ends with one transaction', async () => {
    const state = { isDown: false };
    const chain = openFlaky(() => state.isDown);
    await provider().send('evm_setAutomine', [false]);
    const sending = (await accounts.senderOf('node', {}, { chain })).send(transfer('outage'));
    await untilInPool();
    state.isDown = true;
    await systemClock.sleep(100);
    await provider().send('evm_mine', []);
    state.isDown = false;
    const { hash } = await sending;
    expect((await provider().getTransactionReceipt(hash))?.status).toBe(1);
    expect(await countOf('node')).toBe((await provider().getTransaction(hash))!.nonce + 1);
  });

  test.each(crashPoints.sender)('something throws at %s: sent once more, mined once', async (point) => {
    await using scratch = await openScratch();
    writeFileSync(scratch.file(point), 'throw 1');
    process.env.EMETH_CRASH_POINTS = scratch.path;
    const sender = await accounts.senderOf('node');
    const before = await countOf('node');
    const act = transfer(`throws at ${point}`);
    await sender.send(act).catch(() => sender.send(act));
    delete process.env.EMETH_CRASH_POINTS;
    expect(await countOf('node')).toBe(before + 1);
    expect(existsSync(scratch.file(`${point}.met`))).toBe(true);
  });

  test('node unreachable before signing: throws chain/failed; the key works later', async () => {
    const state = { isDown: false };
    const chain = openFlaky(() => state.isDown);
    const sender = await accounts.senderOf('node', {}, { chain });
    const before = await countOf('node');
    state.isDown = true;
    await expect(sender.send(transfer('early'))).rejects.toMatchObject({ code: 'chain/failed' });
    expect(await pending()).toEqual([]);
    state.isDown = false;
    await sender.send(transfer('early'));
    expect(await countOf('node')).toBe(before + 1);
  });

  test('no funds: throws chain/no-funds before signing; the key works later', async () => {
    const { escrow, senderOf } = accounts;
    const sender = await senderOf('node');
    const before = await countOf('node');
    await provider().send('anvil_setBalance', [escrow.address.node, '0x10']);
    await expect(sender.send(transfer('poor'))).rejects.toMatchObject({
      detail: { code: 'chain/no-funds', account: escrow.address.node },
    });
    expect(await pending()).toEqual([]);
    expect(await countOf('node')).toBe(before);
    await provider().send('anvil_setBalance', [escrow.address.node, `0x${parseEther('1').toString(16)}`]);
    await sender.send(transfer('poor'));
    expect(await countOf('node')).toBe(before + 1);
  });

  test('refused in the block after a good simulation: throws, and may be tried again', async () => {
    const { escrow, senderOf } = accounts;
    await escrow.registerNode('challenger');
    const jobId = (await escrow.jobIn('REQUESTED')) as JobId;
    await provider().send('evm_setAutomine', [false]);
    const sending = (await senderOf('node')).send(call('taking', 'process', jobId));
    const refused = expect(sending).rejects.toMatchObject({
      detail: { code: 'chain/reverted', reason: 'EmethCore_WrongState', args: [jobId, '2', '1'], key: 'taking' },
    });
    await untilInPool();
    // The other node pays more, so its transaction comes first in the block.
    const data = coreInterface.encodeFunctionData('process', [jobId]);
    const rich = { from: escrow.address.challenger, to: escrow.core, data, maxPriorityFeePerGas: '0x174876e800' };
    await provider().send('eth_sendTransaction', [{ ...rich, maxFeePerGas: '0x2e90edd000' }]);
    await provider().send('evm_mine', []);
    await refused;
    expect((await accounts.chain.job(jobId)).node).toBe(escrow.address.challenger);

    await provider().send('evm_setAutomine', [true]);
    await escrow.send('challenger', 'decline', jobId);
    await (await senderOf('node')).send(call('taking', 'process', jobId));
    expect((await accounts.chain.job(jobId)).node).toBe(escrow.address.node);
  });

  test('several callers wait for one act: it is signed and replaced once', async () => {
    const { senderOf } = accounts;
    await provider().send('evm_setAutomine', [false]);
    const sender = await senderOf('node', { stuckMs: 100 });
    const sendings = [sender.send(transfer('same')), sender.send(transfer('same')), sender.send(transfer('same'))];
    await until(async () => ((await pending())[0]?.attempts.length ?? 0) >= 3);
    await provider().send('evm_mine', []);
    const hashes = new Set((await Promise.all(sendings)).map(({ hash }) => hash));
    expect(hashes.size).toBe(1);
    expect((await provider().getBlock('latest'))?.transactions).toEqual([...hashes]);
  });

  test('fee at its bound: the same bytes are sent again', async () => {
    const { senderOf } = accounts;
    await provider().send('evm_setAutomine', [false]);
    await provider().send('anvil_setNextBlockBaseFeePerGas', ['0x3b9aca00']);
    // The first fee is 3 gwei, the second an eighth more, and another eighth would be above the bound.
    const bound = 3_750_000_000n;
    const sending = (await senderOf('node', { stuckMs: 20, maxFeePerGas: bound })).send(transfer('bound'));
    await until(async () => ((await pending())[0]?.attempts.length ?? 0) >= 3);
    await systemClock.sleep(100);
    const { attempts = [] } = (await pending())[0] ?? {};
    expect(attempts).toHaveLength(3);
    expect(attempts.at(-1)?.maxFeePerGas).toBe(bound.toString());
    await provider().send('evm_mine', []);
    await sending;
  });

  test('repeatable act pending before a crash: followed, not doubled', async () => {
    const { escrow, senderOf } = accounts;
    const jobId = (await escrow.jobIn('REQUESTED')) as JobId;
    const act = { ...call(`${jobId}:process`, 'process', jobId), repeatable: true };
    await provider().send('evm_setAutomine', [false]);
    const aborter = new AbortController();
    const dead = (await senderOf('node', {}, { signal: aborter.signal })).send(act);
    const died = expect(dead).rejects.toThrow('killed');
    await until(async () => (await pending()).length === 1);
    aborter.abort(new Error('killed'));
    await died;

    const again = (await senderOf('node')).send(act);
    await provider().send('evm_mine', []);
    const { hash } = await again;
    expect((await provider().getBlock('latest'))?.transactions).toEqual([hash]);
    expect(await pending()).toEqual([]);
  });

  test('several transactions pending before a crash: resume completes all', async () => {
    const { senderOf } = accounts;
    const before = await countOf('node');
    await provider().send('evm_setAutomine', [false]);
    const aborter = new AbortController();
    const sender = await senderOf('node', {}, { signal: aborter.signal });
    const dead = Promise.allSettled(['a', 'b', 'c'].map((key) => sender.send(transfer(key))));
    await until(async () => (await pending()).length === 3);
    aborter.abort();
    await dead;
    // The node has forgotten them, as after a restart.
    for (const { attempts } of await pending()) {
      await provider().send('anvil_dropTransaction', [attempts[0]?.hash]);
    }
    await provider().send('evm_setAutomine', [true]);
    await (await senderOf('node')).resume();
    await until(async () => (await pending()).length === 0);
    expect(await countOf('node')).toBe(before + 3);
  });

  test('nonce used by another program: signed again unless refused by now', async () => {
    const { escrow, senderOf } = accounts;
    const jobId = (await escrow.jobIn('REQUESTED')) as JobId;
    let isCut = false;
    let isBack = false;
    const chain = openFlaky((_method, [sent]) => {
      isCut ||= sent === 'eth_sendRawTransaction'; // from here on nothing leaves the process
      return isCut && !isBack;
    });
    const unsent = await senderOf('node', {}, { chain });
    const sending = unsent.send(call('taking', 'process', jobId));
    const refused = expect(sending).rejects.toMatchObject({ code: 'chain/reverted' });
    await until(async () => isCut);
    await escrow.send('node', 'process', jobId);
    isBack = true;
    await refused;
    expect(await pending()).toEqual([]);
  });
});
