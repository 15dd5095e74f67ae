/** Two processes that share an account and its store: no nonce and no act is used twice. */
import { Transaction } from 'ethers';
import type { IntentStore } from '../../../../src/chain/sending/intent-store';
import { openSender, type Sender, type SenderOptions } from '../../../../src/chain/sending/sender';
import { systemClock } from '../../../../src/lib/clock';
import { silentLogger } from '../../../../src/lib/logger';
import { devKeys } from '../../../../src/runner/anvil';
import { openStore, type Store } from '../../../../src/store/open';
import { type ChainAccounts, openChainAccounts } from '../../../support/chain-accounts';
import { coreInterface, roles } from '../../../support/escrow';
import { openScratch } from '../../../support/scratch';
import { openSenderProcesses, type SenderProcesses } from '../../../support/sender-process';
import { until } from '../../../support/until';

const EMT = 10n ** 18n;
const role = 'node';

let accounts: ChainAccounts;
let processes: SenderProcesses;
let scratch: Awaited<ReturnType<typeof openScratch>>;
let path: string;
/** The stores of two programs that have the same file open. */
let stores: [Store, Store];

beforeAll(async () => {
  processes = await openSenderProcesses(2);
  accounts = await openChainAccounts();
}, 60_000);
afterAll(async () => {
  await processes[Symbol.asyncDispose]();
  await accounts[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await accounts.escrow.reset();
  await provider().send('evm_setAutomine', [true]);
  scratch = await openScratch();
  path = scratch.file('intents.sqlite');
  stores = [await openStore({ kind: 'sqlite', path }), await openStore({ kind: 'sqlite', path })];
});
afterEach(async () => {
  for (const store of stores) await store[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

const provider = () => accounts.chain.provider;
const account = () => accounts.escrow.address[role];
const count = () => provider().getTransactionCount(account(), 'latest');
const credit = () => accounts.chain.credit(accounts.escrow.address.other);
/** Deposits 1, 2, 4 … EMT: the sum shows which deposits happened, and how often. */
const deposit = (i: number) => ({
  key: `deposit:${i}`,
  to: accounts.escrow.core,
  data: coreInterface.encodeFunctionData('deposit', [accounts.escrow.address.other, EMT << BigInt(i)]),
});

async function open(intents: IntentStore, options: SenderOptions = {}, chain = accounts.chain) {
  const { walletOf } = accounts;
  const { signal } = new AbortController();
  const deps = { chain, wallet: await walletOf(role), intents, clock: systemClock, logger: silentLogger, signal };
  return openSender({ pollMs: 10, receiptLagMs: 10_000, ...options }, deps);
}

type Call = (...args: unknown[]) => Promise<unknown>;
type Meet = () => Promise<void>;

/** Returns the chain with one call of its provider replaced. */
function altered(call: keyof ReturnType<typeof provider>, by: Call): ChainAccounts['chain'] {
  const changed = new Proxy(provider(), {
    get(target, name: keyof ReturnType<typeof provider>) {
      if (name === call) return by;
      const member: unknown = target[name];
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  return { ...accounts.chain, provider: changed };
}

/** Returns the chain through a node that serves no receipts. */
const withoutReceipts = () => altered('getTransactionReceipt', async () => null);

/** Returns the chain with a transaction count that is read at once and returned only after `meet`. */
function counting(meet: Meet): ChainAccounts['chain'] {
  return altered('getTransactionCount', async () => {
    const counted = await count();
    await meet();
    return counted;
  });
}

/** Returns the intents with one method replaced. */
function replaced(intents: IntentStore, name: keyof IntentStore, call: Call): IntentStore {
  return new Proxy(intents, {
    get: (target, method: keyof IntentStore) => (method === name ? call : (target[method] as Call).bind(target)),
  });
}

/** Returns intents that store signed versions only when `meet` resolves. */
function meeting(intents: IntentStore, meet: Meet): IntentStore {
  const save = intents.saveAttempt.bind(intents) as Call;
  return replaced(intents, 'saveAttempt', async (...args) => {
    await meet();
    return save(...args);
  });
}

/** Returns intents that return the next number of a kind only after `meet`, so that both get the same. */
function numbering(intents: IntentStore, meet: Meet): IntentStore {
  const countLike = intents.countLike.bind(intents) as Call;
  return replaced(intents, 'countLike', async (...args) => {
    const number = await countLike(...args);
    await meet();
    return number;
  });
}

/** Returns a barrier: its first `size` callers wait for each other, later ones do not wait. */
function barrier(size: number): () => Promise<void> {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let arrived = 0;
  return () => {
    arrived += 1;
    if (arrived >= size) open();
    return opened;
  };
}

describe('two processes of one account that share its store', () => {
  test('both sign different acts under one nonce: one takes the next nonce', async () => {
    const before = await count();
    const meet = barrier(2);
    const senders = await Promise.all(stores.map(({ intents }) => open(meeting(intents, meet))));
    await Promise.all(senders.map((sender, i) => sender.send(deposit(i))));
    expect([await count(), await credit()]).toEqual([before + 2, 3n * EMT]);
    const mined = await stores[0].intents.listMinedFrom(account(), before);
    expect(mined.map(({ nonce, attempts }) => [nonce, attempts.length])).toEqual([
      [before, 1],
      [before + 1, 1],
    ]);
  });

  test('both sign the same act: signed once, and both get its outcome', async () => {
    const before = await count();
    const meet = barrier(2);
    const senders = await Promise.all(stores.map(({ intents }) => open(meeting(intents, meet))));
    const [first, second] = await Promise.all(senders.map((sender) => sender.send(deposit(0))));
    expect(first).toEqual(second);
    expect([await count(), await credit()]).toEqual([before + 1, EMT]);
    const [intent] = await stores[0].intents.listMinedFrom(account(), before);
    expect(intent?.attempts).toHaveLength(1);
  });

  test('both begin one repeatable act: done once; again later: done twice', async () => {
    const before = await count();
    const meet = barrier(2);
    const again = { ...deposit(0), repeatable: true };
    const senders = await Promise.all(stores.map(({ intents }) => open(numbering(intents, meet))));
    const [first, second] = await Promise.all(senders.map((sender) => sender.send(again)));
    expect(first).toEqual(second);
    expect([await count(), await credit()]).toEqual([before + 1, EMT]);
    await senders[0]?.send(again);
    expect([await count(), await credit()]).toEqual([before + 2, 2n * EMT]);
  });

  test('both begin different acts of one kind at once: both are done', async () => {
    const before = await count();
    const meet = barrier(2);
    const senders = await Promise.all(stores.map(({ intents }) => open(numbering(intents, meet))));
    await Promise.all(senders.map((sender, i) => sender.send({ ...deposit(i), key: 'deposit', repeatable: true })));
    expect([await count(), await credit()]).toEqual([before + 2, 3n * EMT]);
  });

  const lateOnes = {
    counted: (meet: Meet) => open(stores[1].intents, {}, counting(meet)),
    'counted, and before it signed': (meet: Meet) => open(meeting(stores[1].intents, meet)),
  };
  const ends = {
    mined: (sender: Sender) => sender.send(deposit(0)),
    final: async (sender: Sender) => sender.settle((await sender.send(deposit(0))).hash),
  };
  test.each([
    ['counted', 'mined'],
    ['counted', 'final'],
    ['counted, and before it signed', 'mined'],
    ['counted, and before it signed', 'final'],
  ] as const)('one begins after the other %s and is %s: another nonce', async (when, end) => {
    const before = await count();
    const first = await open(stores[0].intents, { finality: { confirmations: 0, preferTag: false } });
    let sent: Promise<unknown> | undefined;
    const late = await lateOnes[when](async () => {
      sent ??= ends[end](first);
      await sent;
    });
    await late.send(deposit(1));
    expect([await count(), await credit()]).toEqual([before + 2, 3n * EMT]);
    const mined = await stores[0].intents.listMinedFrom(account(), before);
    expect(mined.map(({ nonce, attempts }) => [nonce, attempts.length])).toEqual([
      [before, 1],
      [before + 1, 1],
    ]);
  });

  test('both follow one stuck act: its fee is raised one step at a time', async () => {
    await provider().send('evm_setAutomine', [false]);
    const senders = await Promise.all(stores.map(({ intents }) => open(intents, { stuckMs: 20 })));
    const sending = Promise.all(senders.map((sender) => sender.send(deposit(0))));
    const pending = async () => (await stores[0].intents.listPending(account()))[0]?.attempts ?? [];
    await until(async () => (await pending()).length >= 5);
    const fees = (await pending()).map(({ maxFeePerGas }) => maxFeePerGas);
    expect(new Set(fees).size).toBe(fees.length);
    await provider().send('evm_setAutomine', [true]);
    await provider().send('evm_mine', []);
    const [first, second] = await sending;
    expect(first).toEqual(second);
    expect(await credit()).toBe(EMT);
  });

  test('outcome stored by one: the other, without receipts, does not repeat', async () => {
    await provider().send('evm_setAutomine', [false]);
    const before = await count();
    const first = (await open(stores[0].intents)).send(deposit(0));
    const { intents } = stores[1];
    await until(async () => (await intents.listPending(account())).length === 1);
    const [stale] = await intents.listPending(account());
    // This process saw the act as pending, and looks at the chain only when the act is done.
    const late = replaced(intents, 'begin', async () => {
      await first;
      return stale;
    });
    const second = (await open(late, { receiptLagMs: 0 }, withoutReceipts())).send(deposit(0));
    await provider().send('evm_setAutomine', [true]);
    await provider().send('evm_mine', []);
    expect(await second).toEqual(await first);
    expect([await count(), await credit()]).toEqual([before + 1, EMT]);
  });

  test('failed version ended by one: the other does not end the next version', async () => {
    const { intents } = stores[0];
    const attempt = (hash: string) => ({ hash, raw: '0x', maxFeePerGas: '1', maxPriorityFeePerGas: '1', atMs: 1 });
    const act = { ...deposit(0), account: account(), valueWei: 0n };
    const { id } = await intents.begin(act);
    const old = (await intents.saveAttempt(id, 7, attempt('0xa'), []))?.attempts;
    await intents.markFailed(id, 'reverted', old);
    await intents.begin(act);
    const renewed = (await intents.saveAttempt(id, 8, attempt('0xb'), []))?.attempts;
    await stores[1].intents.markFailed(id, 'reverted', old);
    expect(await intents.get(id)).toMatchObject({ state: 'signed', nonce: 8, attempts: renewed });
    await stores[1].intents.markFailed(id, 'reverted', renewed);
    expect(await intents.get(id)).toMatchObject({ state: 'failed' });
  });

  test('real processes, five acts each, two shared: each once, no nonce twice', async () => {
    const { chain, escrow } = accounts;
    const before = await count();
    // Many are pending when the next nonce is chosen.
    await provider().send('evm_setAutomine', [false]);
    const endpoint = escrow.provider._getConnection().url;
    const key = devKeys[roles.indexOf(role)] as string;
    const common = { endpoint, core: chain.core, token: chain.token, key, store: path, options: { pollMs: 10 } };
    const runs = [
      [0, 1, 2, 3, 4],
      [3, 4, 5, 6, 7],
    ].map((numbers) => processes.start({ ...common, acts: numbers.map(deposit), killAfter: Number.MAX_SAFE_INTEGER }));
    let isOver = false;
    const over = Promise.all(runs.map(({ ended }) => ended)).finally(() => {
      isOver = true;
    });
    await until(async () => {
      await provider().send('evm_mine', []);
      return isOver;
    });
    await over;
    expect([await count(), await credit()]).toEqual([before + 8, 255n * EMT]);
    expect(await stores[0].intents.listPending(account())).toEqual([]);
    const mined = await stores[0].intents.listMinedFrom(account(), 0);
    const nonces = mined.map(({ attempts }) => attempts.map(({ raw }) => Transaction.from(raw).nonce));
    expect(nonces).toEqual(Array.from({ length: 8 }, (_, i) => [before + i]));
  });
});
