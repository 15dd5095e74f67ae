/** The sender when lower nonces were signed but never sent, or are missing altogether. */
import { Transaction } from 'ethers';
import type { IntentStore } from '../../../../src/chain/sending/intent-store';
import { openSender, type SenderOptions } from '../../../../src/chain/sending/sender';
import { systemClock } from '../../../../src/lib/clock';
import { type Logger, silentLogger } from '../../../../src/lib/logger';
import { type ChainAccounts, openChainAccounts, RECEIPT_LAG_MS } from '../../../support/chain-accounts';
import { until } from '../../../support/until';

let accounts: ChainAccounts;
let closing: AbortController;

beforeAll(async () => {
  accounts = await openChainAccounts();
}, 30_000);

beforeEach(() => {
  closing = new AbortController();
});

afterEach(async () => {
  closing.abort(new Error('over'));
  await accounts.reset();
});

afterAll(() => accounts[Symbol.asyncDispose]());

const provider = () => accounts.chain.provider;
const account = () => accounts.escrow.address.node;
const count = () => provider().getTransactionCount(account(), 'latest');
const pending = () => accounts.store.intents.listPending(account());
const amounts: Record<string, bigint> = { a: 1n, b: 2n, c: 4n, d: 8n };
const transfer = (key: string) => ({
  key,
  to: accounts.escrow.address.other,
  data: '0x',
  valueWei: amounts[key] ?? 0n,
});
/** The sum of the amounts shows which transfers were made, and how often. */
const received = () => provider().getBalance(accounts.escrow.address.other);

type Provider = ReturnType<typeof provider>;
type Changes = Partial<{ [K in keyof Provider]: unknown }>;

/** Returns the chain with some calls of its provider replaced. */
function altered(changes: Changes) {
  const changed = new Proxy(provider(), {
    get(target, name: keyof Provider) {
      const member: unknown = changes[name] ?? target[name];
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  return { ...accounts.chain, provider: changed };
}

/** Returns a chain that loses every broadcast but what `passes`, and the list of all broadcasts, in order. */
function lossy(passes: (raw: string) => boolean) {
  const broadcast: string[] = [];
  const send = async (method: string, params: string[]) => {
    if (method !== 'eth_sendRawTransaction') return provider().send(method, params);
    const [raw = ''] = params;
    broadcast.push(raw);
    if (!passes(raw)) throw new Error('connect ECONNREFUSED');
    return provider().send(method, params);
  };
  return { chain: altered({ send }), broadcast };
}

const nonceOf = (raw: string) => Transaction.from(raw).nonce;

/**
 * Signs the transfers one after the other in a simulated process that then dies; only the transactions that
 * `passes` accepts reach the node.
 */
async function signAndDie(keys: string[], passes: (raw: string) => boolean): Promise<void> {
  const dying = new AbortController();
  // Work begun before the kill must not go on during the rest of the test.
  const alive = <T>(value: T): T => {
    dying.signal.throwIfAborted();
    return value;
  };
  const { chain, broadcast } = lossy((raw) => alive(passes(raw)));
  const intents = new Proxy(accounts.store.intents, {
    get: (target, name: keyof IntentStore) => alive(target[name].bind(target)),
  });
  await provider().send('evm_setAutomine', [false]);
  // Each is sent only once, however long signing takes.
  const options = { resendMs: 600_000 };
  const sender = await accounts.senderOf('node', options, { chain, intents, signal: dying.signal });
  const dead = Promise.allSettled(keys.map((key) => sender.send(transfer(key))));
  await until(async () => broadcast.length === keys.length && (await pending()).length === keys.length);
  dying.abort(new Error('killed'));
  await dead;
  await provider().send('evm_setAutomine', [true]);
  await provider().send('evm_mine', []);
}

interface Parts {
  chain?: ChainAccounts['chain'];
  intents?: IntentStore;
  clock?: typeof systemClock;
  logger?: Logger;
  signal?: AbortSignal;
}

async function open(options: SenderOptions = {}, parts: Parts = {}) {
  const { chain, store, walletOf } = accounts;
  const { signal } = closing;
  const usual = { chain, intents: store.intents, clock: systemClock, logger: silentLogger };
  const deps = { ...usual, wallet: await walletOf('node'), signal, ...parts };
  return openSender({ pollMs: 10, resendMs: 50, receiptLagMs: RECEIPT_LAG_MS, ...options }, deps);
}

describe('unused nonces', () => {
  test('node knows none of the transactions: resume sends them in nonce order', async () => {
    const [before, had] = [await count(), await received()];
    await signAndDie(['a', 'b', 'c'], () => false);
    const { chain, broadcast } = lossy(() => true);
    await (await open({}, { chain })).resume();
    await until(async () => (await pending()).length === 0);
    expect(broadcast.slice(0, 3).map(nonceOf)).toEqual([before, before + 1, before + 2]);
    expect([await count(), (await received()) - had]).toEqual([before + 3, 7n]);
  });

  test('middle one never sent: the next act sends it, even without resume', async () => {
    const [before, had] = [await count(), await received()];
    await signAndDie(['a', 'b', 'c'], (raw) => nonceOf(raw) !== before + 1);
    expect(await count()).toBe(before + 1);
    // No process has stored yet that the first is mined.
    expect((await pending()).map(({ nonce }) => nonce)).toEqual([before, before + 1, before + 2]);
    await (await open()).send(transfer('d'));
    expect([await count(), (await received()) - had]).toEqual([before + 4, 15n]);
    // Checked at once, because a command would end here.
    expect(await pending()).toEqual([]);
  });

  test('stopped while catching up: goes no further', async () => {
    await signAndDie(['a', 'b'], () => false);
    const stop = new AbortController();
    const sender = await open({}, { chain: lossy(() => false).chain, signal: stop.signal });
    const stopped = new Error('stopped');
    await expect(sender.catchUp(() => stop.abort(stopped))).rejects.toBe(stopped);
    await expect(sender.send(transfer('c'))).rejects.toBe(stopped);
    expect(await pending()).toHaveLength(2);
  });

  test('no funds to fill an unused nonce: later ones wait for funds', async () => {
    const [before, had] = [await count(), await received()];
    await signAndDie(['a', 'b'], () => false);
    const [first] = await pending();
    await accounts.store.intents.markFailed(first?.id ?? '', 'refused');
    await provider().send('anvil_setBalance', [account(), '0x10']);
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => warnings.push(message) };
    await (await open({}, { logger })).resume();
    await until(async () => warnings.includes('Nonce is unused and cannot be filled yet'));
    await provider().send('anvil_setBalance', [account(), '0x8ac7230489e80000']);
    await until(async () => (await pending()).length === 0);
    expect([await count(), (await received()) - had]).toEqual([before + 2, 2n]);
  });

  test('middle one failed before it was sent: its nonce is filled, without the act', async () => {
    const [before, had] = [await count(), await received()];
    await signAndDie(['a', 'b', 'c'], () => false);
    const [, middle] = await pending();
    await accounts.store.intents.markFailed(middle?.id ?? '', 'refused');
    await (await open()).resume();
    await until(async () => (await pending()).length === 0);
    expect([await count(), (await received()) - had]).toEqual([before + 3, 5n]);
    await (await open()).send(transfer('b'));
    expect([await count(), (await received()) - had]).toEqual([before + 4, 7n]);
  });

  test('filler of a nonce: stored before it is sent, and replaced when stuck', async () => {
    const before = await count();
    await signAndDie(['a', 'b'], () => false);
    const [first] = await pending();
    await accounts.store.intents.markFailed(first?.id ?? '', 'refused');
    await provider().send('evm_setAutomine', [false]);
    await (await open({ stuckMs: 100 })).resume();
    const filler = async () => (await pending()).find(({ nonce }) => nonce === before);
    await until(async () => ((await filler())?.attempts.length ?? 0) >= 3);
    const known = (await filler())?.attempts.map(({ hash }) => hash) ?? [];
    await provider().send('evm_setAutomine', [true]);
    await provider().send('evm_mine', []);
    await until(async () => (await pending()).length === 0);
    const [mined] = await accounts.store.intents.listMinedFrom(account(), before);
    expect(mined).toMatchObject({ key: `nonce:${before}`, nonce: before });
    expect(mined?.attempts.map(({ hash }) => hash)).toEqual(expect.arrayContaining(known));
  });

  test('unused nonce taken by another program: nothing more is sent for it', async () => {
    const [before, had] = [await count(), await received()];
    await signAndDie(['a', 'b'], () => false);
    const [first] = await pending();
    await accounts.store.intents.markFailed(first?.id ?? '', 'refused');
    const { chain, broadcast } = lossy((raw) => nonceOf(raw) !== before);
    await (await open({}, { chain })).resume();
    await until(async () => broadcast.some((raw) => nonceOf(raw) === before));
    const { address } = accounts.escrow;
    await provider().send('eth_sendTransaction', [{ from: account(), to: address.stranger, value: '0x1' }]);
    await until(async () => (await pending()).length === 0);
    expect([await count(), (await received()) - had]).toEqual([before + 2, 2n]);
  });

  test('mined act removed while another waits behind it: done again', async () => {
    const [before, had] = [await count(), await received()];
    const fork = await provider().send('evm_snapshot', []);
    const sender = await open();
    await sender.send(transfer('a'));
    await signAndDie(['b'], () => false);
    await provider().send('evm_revert', [fork]);
    expect(await count()).toBe(before);
    await (await open()).resume();
    await until(async () => (await pending()).length === 0 && (await count()) === before + 2);
    expect((await received()) - had).toBe(3n);
    const { hash } = await (await open()).send(transfer('a'));
    expect((await provider().getTransactionReceipt(hash))?.status).toBe(1);
  });

  test('chain started anew under old data: acts of the old chain are ignored', async () => {
    const [before, had] = [await count(), await received()];
    const fork = await provider().send('evm_snapshot', []);
    const old = await open({}, { clock: { ...systemClock, now: () => Date.now() - 120_000 } });
    for (const key of ['a', 'b']) await old.send(transfer(key));
    await provider().send('evm_revert', [fork]);
    await (await open()).send(transfer('c'));
    expect([await count(), (await received()) - had, await pending()]).toEqual([before + 1, 4n, []]);
  });

  test('many waiting: only the first is stuck, and only it is replaced', async () => {
    await provider().send('evm_setAutomine', [false]);
    const sender = await open({ stuckMs: 20 });
    const sending = Promise.all(['a', 'b', 'c'].map((key) => sender.send(transfer(key))));
    await until(async () => ((await pending())[0]?.attempts.length ?? 0) >= 4);
    expect((await pending()).map(({ attempts }) => attempts.length)).toEqual([expect.any(Number), 1, 1]);
    await provider().send('evm_setAutomine', [true]);
    await provider().send('evm_mine', []);
    await sending;
  });
});

describe('answers about nonces', () => {
  test('nonce used only before a reorganisation: signing again is not hastened', async () => {
    const had = await received();
    await provider().send('evm_setAutomine', [false]);
    const state = { extra: 0, asked: 0, nowMs: Date.now() };
    const getTransactionCount = async (...args: Parameters<Provider['getTransactionCount']>) => {
      state.asked += 1;
      return (await provider().getTransactionCount(...args)) + state.extra;
    };
    const clock = { ...systemClock, now: () => state.nowMs };
    const sender = await open({ receiptLagMs: 10_000 }, { chain: altered({ getTransactionCount }), clock });
    const sending = sender.send(transfer('a'));
    await until(async () => (await pending()).length === 1);
    const looks = async () => {
      const { asked } = state;
      await until(async () => state.asked > asked + 3);
    };
    for (const extra of [1, 0, 1]) {
      state.extra = extra;
      await looks();
      state.nowMs += 6_000;
    }
    await looks();
    expect((await pending())[0]?.attempts).toHaveLength(1);
    state.extra = 0;
    await provider().send('evm_mine', []);
    await sending;
    expect((await received()) - had).toBe(1n);
  });

  test('act marked as mined while a nonce is chosen: no nonce is given twice', async () => {
    await provider().send('evm_setAutomine', [false]);
    const first = (await open()).send(transfer('a'));
    await until(async () => (await pending()).length === 1);
    let isHeld = false;
    const getTransactionCount = async (...args: Parameters<Provider['getTransactionCount']>) => {
      const counted = await provider().getTransactionCount(...args);
      isHeld = true;
      await first;
      return counted;
    };
    const intents: IntentStore = accounts.store.intents;
    const signed: number[] = [];
    const watched = new Proxy(intents, {
      get(target, name: keyof IntentStore) {
        const method = target[name] as (...args: unknown[]) => Promise<unknown>;
        return (...args: unknown[]) => {
          if (name === 'saveAttempt') signed.push(args[1] as number);
          return method.apply(target, args);
        };
      },
    });
    const second = (await open({}, { chain: altered({ getTransactionCount }), intents: watched })).send(transfer('b'));
    await until(async () => isHeld);
    await provider().send('evm_setAutomine', [true]);
    await provider().send('evm_mine', []);
    await second;
    expect(signed).toEqual([(await count()) - 1]);
  });

  test.each([
    'already known',
    'AlreadyKnown',
    'Known transaction',
    'transaction already imported',
    'nonce too low: next nonce 7, tx nonce 6',
    'OldNonce',
    'replacement transaction underpriced',
    'ReplacementNotAllowed',
  ])('broadcast error "%s": no warning, and the act is done once', async (words) => {
    const [before, had] = [await count(), await received()];
    const warnings: string[] = [];
    const send = async (method: string, params: string[]) => {
      const result = await provider().send(method, params);
      if (method === 'eth_sendRawTransaction') throw new Error(words);
      return result;
    };
    const logger = { ...silentLogger, warn: (message: string) => warnings.push(message) };
    await (await open({}, { chain: altered({ send }), logger })).send(transfer('a'));
    expect(warnings).toEqual([]);
    expect([await count(), (await received()) - had]).toEqual([before + 1, 1n]);
  });

  test('any other broadcast error: a warning', async () => {
    const warnings: string[] = [];
    const send = async (method: string, params: string[]) => {
      const result = await provider().send(method, params);
      if (method === 'eth_sendRawTransaction') throw new Error('max fee per gas less than block base fee');
      return result;
    };
    const logger = { ...silentLogger, warn: (message: string) => warnings.push(message) };
    await (await open({}, { chain: altered({ send }), logger })).send(transfer('a'));
    expect(warnings).toEqual(['Node finds the fee of the transaction too low']);
  });
});
