/** Acts of one account in thousands of orders: no nonce is given twice, and no version of an act is lost. */
import fc from 'fast-check';
import { Address } from '../../../src/domain/ids';
import type { Attempt } from '../../../src/domain/intent';
import { openStore, type Store } from '../../../src/store/open';
import { playOrders } from '../../support/orders';
import { fastDir, openScratch } from '../../support/scratch';

/** What must be stored of one act. */
interface Act {
  state: 'created' | 'signed' | 'mined' | 'final' | 'failed';
  nonce: number | undefined;
  hashes: string[];
}

const KEYS = ['a', 'b', 'c'];
const HOLD_MS = 60_000;
const step = fc.record({
  do: fc.constantFrom(
    'begin' as const,
    'sign' as const,
    'mine' as const,
    'confirm' as const,
    'remove' as const,
    'fail' as const,
  ),
  key: fc.constantFrom(...KEYS),
  nonce: fc.nat(1),
  /** The signer knows an older version of the act than is stored. */
  isLate: fc.boolean(),
  ms: fc.constantFrom(0, 61_000),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

let nowMs = 1_000_000;
let scratch: Awaited<ReturnType<typeof openScratch>>;
let store: Store;
beforeAll(async () => {
  scratch = await openScratch(fastDir());
  const clock = { now: () => nowMs, sleep: async () => undefined };
  store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') }, clock);
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

let accounts = 0;
let hashes = 0;

/** One account: its acts as stored, and as they must be. */
class Account {
  readonly address = Address.parse(`0x${(++accounts).toString(16).padStart(40, '0')}`);
  readonly acts = new Map<string, Act>();
  private readonly signedAt = new Map<string, number>();

  async play(next: Step): Promise<void> {
    nowMs += next.ms;
    const act = this.acts.get(next.key);
    if (next.do === 'begin') return this.begin(next.key);
    if (!act) return;
    if (next.do === 'sign') return this.sign(next, act);
    const { intents } = store;
    const id = this.idOf(next.key);
    if (next.do === 'mine' && act.state === 'signed') {
      await intents.markMined(id, act.hashes.at(-1) ?? '');
      act.state = 'mined';
    } else if (next.do === 'confirm' && act.state === 'mined') {
      await intents.markFinal(id);
      act.state = 'final';
    } else if (next.do === 'remove' && act.state === 'mined') {
      act.state = (await intents.reopen(id)).state as Act['state'];
      expect(act.state).toBe('signed');
    } else if (next.do === 'fail' && act.state === 'signed') {
      await intents.markFailed(id, 'refused');
      act.state = 'failed';
    }
  }

  private async begin(key: string): Promise<void> {
    await store.intents.begin({ account: this.address, key, to: this.address, data: '0x', valueWei: 0n });
    const act = this.acts.get(key);
    if (!act || act.state === 'failed') this.acts.set(key, { state: 'created', nonce: undefined, hashes: [] });
  }

  private async sign({ key, nonce, isLate }: Step, act: Act): Promise<void> {
    const before = await store.intents.get(this.idOf(key));
    const hash = `0x${++hashes}`;
    const attempt: Attempt = { hash, raw: hash, maxFeePerGas: '1', maxPriorityFeePerGas: '1', atMs: nowMs };
    const known = isLate ? before.attempts.slice(0, -1) : before.attempts;
    const stored = await store.intents.saveAttempt(before.id, nonce, attempt, known);
    const isOpen = act.state === 'created' || act.state === 'signed';
    const isCurrent = isOpen && known.length === before.attempts.length;
    const isOwn = act.state === 'signed' && act.nonce === nonce;
    if (isCurrent && !isOwn && this.isHeld(key, nonce)) return void expect(stored).toBeUndefined();
    if (isCurrent) {
      Object.assign(act, { state: 'signed', nonce, hashes: [...act.hashes, hash] });
      this.signedAt.set(key, nowMs);
    }
    if (stored?.attempts.at(-1)?.hash !== act.hashes.at(-1)) throw new Error(`${hash} was not kept as it must be`);
  }

  /** A mined act holds its nonce for a minute after its signature. */
  private isHeld(key: string, nonce: number): boolean {
    return [...this.acts].some(([other, act]) => {
      if (other === key || act.nonce !== nonce) return false;
      const isMined = act.state === 'mined' || act.state === 'final';
      return act.state === 'signed' || (isMined && nowMs - (this.signedAt.get(other) ?? 0) < HOLD_MS);
    });
  }

  private idOf(key: string): string {
    return `${this.address}:${key}`;
  }
}

test('steps in any order: one holder of each nonce, every version kept', () =>
  playOrders(step, 12, async (steps) => {
    const account = new Account();
    for (const next of steps) await account.play(next);
    const signed = await store.intents.listPending(account.address);
    const nonces = signed.filter(({ state }) => state === 'signed').map(({ nonce }) => nonce);
    if (new Set(nonces).size !== nonces.length) throw new Error(`Nonces ${nonces.join(', ')} are signed`);
    for (const [key, act] of account.acts) {
      const { state, attempts } = await store.intents.get(`${account.address}:${key}`);
      const found = `${state} ${attempts.map(({ hash }) => hash).join(' ')}`;
      if (found !== `${act.state} ${act.hashes.join(' ')}`) throw new Error(`${key}: ${found}`);
    }
  }));
