import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { openSender, type SenderOptions } from '../../../src/chain/sender';
import { systemClock } from '../../../src/lib/clock';
import { silentLogger } from '../../../src/lib/logger';
import { devKeys } from '../../../src/runner/anvil';
import { openStore } from '../../../src/store/open';
import type { SenderProcess } from '../../fixtures/sender-process';
import { type ChainAccounts, openChainAccounts } from '../../support/chain-accounts';
import { compileFixture } from '../../support/compiled';
import { coreInterface, roles } from '../../support/escrow';
import { openScratch } from '../../support/scratch';

const EMT = 10n ** 18n;
const role = 'challenger';

let accounts: ChainAccounts;
let script: string;
beforeAll(async () => {
  script = await compileFixture('sender-process');
  accounts = await openChainAccounts();
}, 60_000);
afterAll(() => accounts[Symbol.asyncDispose]());

/** Deposits of 1, 2, 4 … EMT: the credit afterwards tells which of them happened, and how often. */
function deposits(count: number): SenderProcess['acts'] {
  const { escrow } = accounts;
  return Array.from({ length: count }, (_, i) => ({
    key: `deposit:${i}`,
    to: escrow.core,
    data: coreInterface.encodeFunctionData('deposit', [escrow.address[role], EMT << BigInt(i)]),
  }));
}

function start(store: string, acts: SenderProcess['acts'], options: SenderOptions, killAt: number): ChildProcess {
  const { escrow, chain } = accounts;
  const endpoint = escrow.provider._getConnection().url;
  const key = devKeys[roles.indexOf(role)] as string;
  const told: SenderProcess = { endpoint, core: chain.core, token: chain.token, key, store, acts, options, killAt };
  return spawn(process.execPath, [script, JSON.stringify(told)], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** As the owner of the account would after a crash: takes up what is under way, and asks for the same acts again. */
async function recover(path: string, acts: SenderProcess['acts']): Promise<void> {
  const { chain, walletOf } = accounts;
  await using store = await openStore({ kind: 'sqlite', path });
  const wallet = await walletOf(role);
  const { signal } = new AbortController();
  const deps = { chain, wallet, intents: store.intents, clock: systemClock, logger: silentLogger, signal };
  const sender = openSender({ pollMs: 10, receiptLagMs: 100 }, deps);
  await sender.resume();
  await Promise.all(acts.map((act) => sender.send(act)));
  expect(await store.intents.listPending(wallet.address)).toEqual([]);
}

interface Case {
  acts: number;
  options: SenderOptions;
  /** Nothing is mined until the process has died or replaced what it sent. */
  minesLate: boolean;
}

/** Kills at every step from the first to the one that is never reached; returns how many there were. */
async function killEverywhere({ acts: count, options, minesLate }: Case): Promise<number> {
  const { escrow, chain } = accounts;
  const acts = deposits(count);
  const wanted = (EMT << BigInt(count)) - EMT;
  for (let killAt = 1; ; killAt += 1) {
    await using scratch = await openScratch();
    const path = scratch.file('intents.sqlite');
    await escrow.reset();
    const noncesBefore = await chain.provider.getTransactionCount(escrow.address[role]);
    await escrow.provider.send('evm_setAutomine', [!minesLate]);
    const child = start(path, acts, options, killAt);
    const printed = text(child.stdout as NodeJS.ReadableStream);
    const ended = once(child, 'exit');
    const isReplaced = minesLate && (await waitForReplacement(ended));
    await escrow.provider.send('evm_setAutomine', [true]);
    await escrow.provider.send('evm_mine', []);
    const [, signal] = await ended;

    await recover(path, acts);
    const nonces = (await chain.provider.getTransactionCount(escrow.address[role])) - noncesBefore;
    const credit = await chain.credit(escrow.address[role]);
    expect({ killAt, credit, nonces }).toEqual({ killAt, credit: wanted, nonces: count });
    if (signal === 'SIGKILL') continue;
    expect(isReplaced).toBe(minesLate);
    return Number(await printed);
  }
}

/** Until two versions of the account's transaction were in the pool, or the process has ended: whichever comes first. */
async function waitForReplacement(ended: Promise<unknown>): Promise<boolean> {
  const { escrow } = accounts;
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  const seen = new Set<string>();
  while (!isOver && seen.size < 2) {
    const { pending } = (await escrow.provider.send('txpool_content', [])) as Pool;
    for (const [address, byNonce] of Object.entries(pending)) {
      if (address.toLowerCase() === escrow.address[role]) {
        for (const { hash } of Object.values(byNonce)) seen.add(hash);
      }
    }
    await systemClock.sleep(10);
  }
  // Some more looks at a chain that has not mined it yet.
  if (!isOver) await systemClock.sleep(250);
  return seen.size >= 2;
}

interface Pool {
  pending: Record<string, Record<string, { hash: string }>>;
}

describe('killed before every single step, each in a process of its own: nothing is lost and nothing is done twice', () => {
  test('one act, mined at once', async () => {
    // Begin, simulate, price, sign, store, send, watch, note: all of that has to be among the steps.
    expect(await killEverywhere({ acts: 1, options: { pollMs: 10 }, minesLate: false })).toBeGreaterThanOrEqual(10);
  }, 60_000);

  test('two acts under way with one nonce after the other', async () => {
    expect(await killEverywhere({ acts: 2, options: { pollMs: 10 }, minesLate: false })).toBeGreaterThanOrEqual(20);
  }, 90_000);

  test('an act that is stuck and replaced at a higher fee', async () => {
    const options = { pollMs: 100, stuckMs: 100 };
    expect(await killEverywhere({ acts: 1, options, minesLate: true })).toBeGreaterThanOrEqual(14);
  }, 120_000);
});
