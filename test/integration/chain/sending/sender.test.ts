/** The sender on a healthy chain, killed at its two most dangerous moments. */
import { type Emeth, openEmeth } from '../../../../src/chain/acts/emeth';
import { deployContracts } from '../../../../src/chain/deploy/deploy';
import { minedReceipt, openDeployer } from '../../../../src/chain/deploy/deployer';
import { type Chain, openChain } from '../../../../src/chain/rpc/client';
import { openSender } from '../../../../src/chain/sending/sender';
import { openWallet, type Wallet } from '../../../../src/chain/sending/wallet';
import { systemClock } from '../../../../src/lib/clock';
import { silentLogger } from '../../../../src/lib/logger';
import { type Anvil, devKeys, startAnvil } from '../../../../src/runner/anvil';
import { openStore, type Store } from '../../../../src/store/open';
import { RECEIPT_LAG_MS } from '../../../support/chain-accounts';
import { openScratch } from '../../../support/scratch';
import { until } from '../../../support/until';

const EMT = 10n ** 18n;

interface Rig extends AsyncDisposable {
  anvil: Anvil;
  chain: Chain;
  wallet: Wallet;
  store: Store;
  emeth(signal?: AbortSignal, options?: Parameters<typeof openSender>[0]): Emeth;
  sender(options?: Parameters<typeof openSender>[0]): ReturnType<typeof openSender>;
}

async function openRig(): Promise<Rig> {
  const anvil = await startAnvil();
  const deployer = await openDeployer(anvil.url, { privateKey: devKeys[0] });
  const { address } = deployer;
  const deployment = await deployContracts(deployer.signer, { holder: address, admin: address, verifiers: [] });
  deployer.close();
  const { emethContractAddress: core, tokenContractAddress: token } = deployment;
  const chain = await openChain({ endpoint: anvil.url, core, token });
  const wallet = await openWallet({ privateKey: devKeys[0] }, chain.chainId);
  const scratch = await openScratch();
  const store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
  const never = new AbortController().signal;
  const open = (signal = never, options: Parameters<typeof openSender>[0] = {}) =>
    openSender(
      { pollMs: 20, ...options },
      { chain, wallet, intents: store.intents, clock: systemClock, logger: silentLogger, signal },
    );
  return {
    anvil,
    chain,
    wallet,
    store,
    sender: (options) => open(never, options),
    emeth: (signal, options) => openEmeth(chain, open(signal, options), wallet),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await chain[Symbol.asyncDispose]();
      await anvil[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

describe('sender', () => {
  test('default: sends once; the same key returns the first outcome', async () => {
    await using rig = await openRig();
    const request = { key: 'once', to: rig.wallet.address, data: '0x', valueWei: 1n };
    const before = await rig.chain.provider.getTransactionCount(rig.wallet.address);
    const first = await rig.sender().send(request);
    const again = rig.sender();
    expect(await again.hasSigned('once')).toBe(true);
    expect(await again.send(request)).toEqual(first);
    expect(await rig.chain.provider.getTransactionCount(rig.wallet.address)).toBe(before + 1);
  });

  test('many sent at once: each gets its own nonce and is mined', async () => {
    await using rig = await openRig();
    const sender = rig.sender();
    const before = await rig.chain.provider.getTransactionCount(rig.wallet.address);
    const requests = Array.from({ length: 10 }, (_, i) => ({ key: `n${i}`, to: rig.wallet.address, data: '0x' }));
    const hashes = await Promise.all(requests.map((request) => sender.send(request)));
    expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(10);
    expect(await rig.chain.provider.getTransactionCount(rig.wallet.address)).toBe(before + 10);
  });

  test('refused: throws the contract’s reason, spends nothing, may be tried again', async () => {
    await using rig = await openRig();
    const emeth = rig.emeth();
    const before = await rig.chain.provider.getTransactionCount(rig.wallet.address);
    const missing = `0x${'12'.repeat(16)}` as never;
    await expect(emeth.cancel(missing)).rejects.toMatchObject({
      code: 'chain/reverted',
      detail: { reason: 'EmethCore_WrongState' },
    });
    await expect(emeth.cancel(missing)).rejects.toMatchObject({ code: 'chain/reverted' });
    expect(await rig.sender().hasSigned(`${missing}:cancel`)).toBe(false);
    expect(await rig.chain.provider.getTransactionCount(rig.wallet.address)).toBe(before);
  });

  test('crash between storing and sending: the same bytes are sent, once', async () => {
    await using rig = await openRig();
    const { provider } = rig.chain;
    const before = await provider.getTransactionCount(rig.wallet.address);
    // The process dies just before the broadcast: the signed bytes are stored, none has left.
    const dying = openCrashing(rig, 'eth_sendRawTransaction');
    await dying.attempt({ key: 'crash', to: rig.wallet.address, data: '0x' });
    const [stored] = await rig.store.intents.listPending(rig.wallet.address);
    expect(stored?.attempts).toHaveLength(1);
    expect(await provider.getTransactionCount(rig.wallet.address)).toBe(before);

    const sender = rig.sender();
    await sender.resume();
    const { hash } = await sender.send({ key: 'crash', to: rig.wallet.address, data: '0x' });
    expect(hash).toBe(stored?.attempts[0]?.hash);
    expect(await provider.getTransactionCount(rig.wallet.address)).toBe(before + 1);
  });

  test('crash between sending and recording: nothing is sent twice', async () => {
    await using rig = await openRig();
    const { provider } = rig.chain;
    const before = await provider.getTransactionCount(rig.wallet.address);
    const dying = openCrashing(rig, 'eth_getTransactionReceipt');
    await dying.attempt({ key: 'crash', to: rig.wallet.address, data: '0x' });
    // anvil accepts a transaction before it has mined it.
    await until(async () => (await provider.getTransactionCount(rig.wallet.address)) === before + 1);

    await rig.sender().send({ key: 'crash', to: rig.wallet.address, data: '0x' });
    expect(await provider.getTransactionCount(rig.wallet.address)).toBe(before + 1);
    expect(await rig.store.intents.listPending(rig.wallet.address)).toEqual([]);
  });

  test('stuck transaction: replaced under the same nonce at a higher fee', async () => {
    await using rig = await openRig();
    const { provider } = rig.chain;
    await provider.send('evm_setAutomine', [false]);
    const sending = rig.sender({ stuckMs: 100 }).send({ key: 'stuck', to: rig.wallet.address, data: '0x' });
    const replaced = async () => (await rig.store.intents.listPending(rig.wallet.address))[0]?.attempts ?? [];
    while ((await replaced()).length < 2) await systemClock.sleep(20);
    const [first, second] = await replaced();
    expect(BigInt(second?.maxFeePerGas ?? 0)).toBeGreaterThanOrEqual(
      (BigInt(first?.maxFeePerGas ?? 0) * 1125n) / 1000n,
    );
    await provider.send('evm_mine', []);
    const { hash } = await sending;
    expect(await provider.getTransactionReceipt(hash)).not.toBeNull();
    const { nonce } = (await provider.getTransaction(hash)) ?? {};
    expect(await provider.getTransactionCount(rig.wallet.address)).toBe((nonce ?? 0) + 1);
  });

  test('nonce used by another process: signed again under the next one', async () => {
    await using rig = await openRig();
    const { provider } = rig.chain;
    const dying = openCrashing(rig, 'eth_sendRawTransaction');
    await dying.attempt({ key: 'late', to: rig.wallet.address, data: '0x' });
    const foreign = await openDeployer(rig.anvil.url, { privateKey: devKeys[0] });
    await minedReceipt(await foreign.signer.sendTransaction({ to: rig.wallet.address, value: 1n }));
    foreign.close();
    const before = await provider.getTransactionCount(rig.wallet.address);
    await rig.sender({ receiptLagMs: RECEIPT_LAG_MS }).send({ key: 'late', to: rig.wallet.address, data: '0x' });
    expect(await provider.getTransactionCount(rig.wallet.address)).toBe(before + 1);
  });
});

describe('emeth', () => {
  test('request, cancel, withdraw: approves only what is needed', async () => {
    await using rig = await openRig();
    const emeth = rig.emeth();
    const deadlineMs = (await rig.chain.nowMs()) + 3_600_000;
    const before = await rig.chain.tokenBalance(rig.wallet.address);
    const job = { dataset: 'sha256:aa', params: '{}', feeWei: 10n * EMT, fuelLimit: 1000n, deadlineMs };
    const { jobId } = await emeth.request(job);
    expect(await rig.chain.job(jobId)).toMatchObject({
      state: 'REQUESTED',
      feeWei: 10n * EMT,
      requester: rig.wallet.address,
    });
    expect(await rig.chain.allowance(rig.wallet.address, rig.chain.core)).toBe(0n);
    await emeth.cancel(jobId);
    const credit = await rig.chain.credit(rig.wallet.address);
    expect(credit).toBe((10n * EMT * 110n) / 100n);
    await emeth.withdraw(rig.wallet.address, credit);
    expect(await rig.chain.tokenBalance(rig.wallet.address)).toBe(before);
  });

  test('too few tokens: throws chain/not-enough-tokens before sending', async () => {
    await using rig = await openRig();
    const poor = await openWallet({ privateKey: devKeys[5] }, rig.chain.chainId);
    const signal = new AbortController().signal;
    const deps = {
      chain: rig.chain,
      wallet: poor,
      intents: rig.store.intents,
      clock: systemClock,
      logger: silentLogger,
      signal,
    };
    const emeth = openEmeth(rig.chain, openSender({}, deps), poor);
    const deadlineMs = (await rig.chain.nowMs()) + 3_600_000;
    const request = emeth.request({ dataset: 'x', params: '{}', feeWei: EMT, fuelLimit: 1n, deadlineMs });
    await expect(request).rejects.toMatchObject({ code: 'chain/not-enough-tokens' });
  });
});

/** Opens a sender whose process "dies" at its first call of an RPC method: from then on it does nothing. */
function openCrashing(rig: Rig, method: string) {
  const aborter = new AbortController();
  let died: () => void = () => undefined;
  const death = new Promise<void>((resolve) => {
    died = resolve;
  });
  const stop = (): Promise<never> => {
    aborter.abort(new Error('crashed'));
    died();
    return new Promise<never>(() => undefined);
  };
  const provider = new Proxy(rig.chain.provider, {
    get(target, name) {
      if (name === 'getTransactionReceipt' && method === 'eth_getTransactionReceipt') return stop;
      if (name === 'send') {
        return (sent: string, params: unknown[]) => (sent === method ? stop() : target.send(sent, params));
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const chain = { ...rig.chain, provider };
  const { wallet, store } = rig;
  const deps = {
    chain,
    wallet,
    intents: store.intents,
    clock: systemClock,
    logger: silentLogger,
    signal: aborter.signal,
  };
  const sender = openSender({ pollMs: 20 }, deps);
  return {
    async attempt(request: Parameters<typeof sender.send>[0]): Promise<void> {
      sender.send(request).catch(() => undefined);
      await death;
    },
  };
}
