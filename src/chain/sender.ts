import { Transaction, type TransactionReceipt } from 'ethers';
import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { AppError, describeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { type Broadcast, openBroadcast } from './broadcast';
import type { Chain } from './client';
import { Fees, type Price } from './fees';
import type { Finality } from './finality';
import {
  type Act,
  type Attempt,
  beginAgain,
  haveSameVersions,
  type Intent,
  type IntentStore,
  lastAttempt,
  requestedAct,
  signedAct,
} from './intents';
import { MinedWatch } from './mined';
import { isFiller, NonceGaps, type WaitsBehind } from './nonce-gaps';
import { openQueue } from './queue';
import { explainMined, reverted } from './revert';
import type { Wallet } from './wallet';

export interface SendRequest {
  /** Names the act for this account, e.g. `0x…:submit`. Sending it again gives the first outcome. */
  key: string;
  to: Address;
  data: string;
  valueWei?: bigint | undefined;
  /**
   * The act may be done again later, e.g. after a decline: `key` then names the kind of act. One that is still under way with
   * the same content, also from before a crash, is followed instead of doubled.
   */
  repeatable?: boolean | undefined;
}

export interface Sender {
  readonly address: Address;
  /** Sends, once, and waits until it is mined. Throws `chain/reverted` with the contract's own reason. */
  send(request: SendRequest): Promise<{ hash: string }>;
  /** Whether the account has begun this act before; sending it again follows it, and costs nothing if it was done. */
  hasBegun(key: string): Promise<boolean>;
  /** What sending would cost, in wei, without sending it. */
  estimateWei(request: Pick<SendRequest, 'to' | 'data' | 'valueWei'>): Promise<bigint>;
  /** Waits until what `send` gave this hash for is final; what a reorganisation takes back is sent again. Gives the hash it ends with. */
  settle(hash: string): Promise<{ hash: string }>;
  /** Takes up transactions that were signed before this process began. */
  resume(): Promise<void>;
  /** As `resume`, and waits until each of them is mined or has failed; `onWait` is called if there are any. */
  catchUp(onWait: () => void): Promise<void>;
  /** Keeps an eye on what is mined and not final, until the signal aborts: what a reorganisation takes back is sent again. */
  keep(): Promise<void>;
}

export interface SenderOptions {
  /** After so long without being mined a transaction is sent again with a higher fee. */
  stuckMs?: number | undefined;
  pollMs?: number | undefined;
  /** How often the same bytes are sent again while they are not mined: a node may forget them, or have been away. */
  resendMs?: number | undefined;
  /** How long a node may know that a nonce is used before it knows the receipt. Shorter risks doubling, longer delays repair. */
  receiptLagMs?: number | undefined;
  /** What makes a block final; without it, the chain's own word, or two blocks on top. */
  finality?: Finality | undefined;
  /** How often `keep` looks whether what is mined still is. */
  lookBackMs?: number | undefined;
  /** No replacement pays more per gas than this, in wei. */
  maxFeePerGas?: bigint | undefined;
}

const POLL_MS = 300;
const RECEIPT_LAG_MS = 10_000;

/**
 * Sends transactions so that none is lost and none doubled, whenever the process dies.
 *
 *     created ──sign, store──▶ signed ──send, watch──▶ mined ──blocks on top──▶ final
 *        │ refused in simulation   │ ▲ reverted            │
 *        └───────▶ failed ◀────────┘ └───taken back by a───┘   (replace: same nonce, higher fee; signed stays signed)
 *                                         reorganisation
 *
 * The intent is stored before it is signed, the signed bytes before they are sent, and a restart sends the same bytes. From
 * `signed` on the chain alone decides: an unreachable node is waited for. `failed` cost nothing or only gas; sending the key again
 * begins it afresh. A stuck transaction is replaced under its nonce, and every version's hash is watched. Only the lowest nonce
 * under way can be stuck by itself; the others wait for it, and see to it that somebody follows it.
 *
 * Processes that share the account should share the store, which gives no nonce to two acts and no act to two signers. That
 * a program without it used a nonce is noticed, late, and mended.
 */
export function openSender(options: SenderOptions, deps: SenderDeps): Sender {
  return new TransactionSender(options, deps);
}

interface SenderDeps {
  chain: Chain;
  wallet: Wallet;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

/** A signed intent on its way. */
interface Watch extends WaitsBehind {
  sentAtMs: number;
  /** Since when its nonce is used up although none of its versions is known to be mined. */
  passedAtMs?: number | undefined;
}

class TransactionSender implements Sender {
  private readonly fees: Fees;
  /** Whoever signs needs the nonce to itself. */
  private readonly exclusively = openQueue();
  private readonly broadcast: Broadcast;
  /** By intent; two who wait for the same one must not both replace it. */
  private readonly followed = new Map<string, Promise<string>>();
  /** Of those, what nobody here asked for, but has to be mined before something that was. */
  private readonly helped = new Set<Promise<void>>();
  /** Intents that were sent here, by the hash that was given for them. */
  private readonly sent = new Map<string, string>();
  private readonly gaps: NonceGaps;
  private readonly mined: MinedWatch;

  constructor(
    private readonly options: SenderOptions,
    private readonly deps: SenderDeps,
  ) {
    this.fees = new Fees(deps.chain, deps.wallet.address, options.maxFeePerGas);
    const { receiptLagMs = RECEIPT_LAG_MS, finality = { confirmations: 2, preferTag: true } } = options;
    const shared = { ...deps, address: deps.wallet.address };
    this.broadcast = openBroadcast(deps.chain, deps.logger);
    this.gaps = new NonceGaps(receiptLagMs, {
      ...shared,
      help: (intent) => this.help(intent),
      sign: (intent, nonce) => this.exclusively(() => this.fill(intent, nonce)),
    });
    this.mined = new MinedWatch(finality, {
      ...shared,
      findReceipt: (attempts) => this.findReceipt(attempts),
      takeUp: (intent) => this.takeUp(intent),
    });
  }

  get address(): Address {
    return this.deps.wallet.address;
  }

  async send(request: SendRequest): Promise<{ hash: string }> {
    const intent = await this.exclusively(() => this.begin(request));
    try {
      const hash = await this.follow(intent);
      this.sent.set(hash, intent.id);
      return { hash };
    } finally {
      // Their outcome is known at about the same time, and our caller may end the process now. One may have others helped.
      while (this.helped.size > 0) await Promise.all(this.helped);
    }
  }

  async settle(hash: string): Promise<{ hash: string }> {
    const { intents, clock, signal } = this.deps;
    const id = this.sent.get(hash);
    if (id === undefined) throw new Error(`Transaction ${hash} was not sent here`);
    for (;;) {
      const minedHash = await this.follow(await intents.get(id));
      const state = await this.survive(hash, async () => this.mined.look(await intents.get(id)));
      if (state === 'final') return { hash: minedHash };
      await clock.sleep(this.options.pollMs ?? POLL_MS, signal);
    }
  }

  async hasBegun(key: string): Promise<boolean> {
    return (await this.deps.intents.countLike(this.address, key)) > 0;
  }

  estimateWei({ to, data, valueWei }: Pick<SendRequest, 'to' | 'data' | 'valueWei'>): Promise<bigint> {
    return this.fees.costWei({ to, data, value: valueWei ?? 0n });
  }

  async resume(): Promise<void> {
    for (const intent of await this.deps.intents.listPending(this.address)) void this.takeUp(intent);
  }

  async catchUp(onWait: () => void): Promise<void> {
    const pending = await this.deps.intents.listPending(this.address);
    if (pending.length > 0) onWait();
    await Promise.all(pending.map((intent) => this.takeUp(intent)));
  }

  keep(): Promise<void> {
    return this.mined.run(this.options.lookBackMs ?? 15_000);
  }

  private async takeUp(intent: Intent): Promise<void> {
    const { logger, signal } = this.deps;
    try {
      await this.follow(intent);
    } catch (error) {
      if (!signal.aborted) logger.warn('Earlier transaction failed', { key: intent.key }, error);
    }
  }

  /** Takes up what comes before ours. */
  private help(intent: Intent): void {
    if (this.followed.has(intent.id)) return;
    const helping = this.takeUp(intent).finally(() => this.helped.delete(helping));
    this.helped.add(helping);
  }

  /** The intent, signed if it was not yet. */
  private async begin({ key, to, data, valueWei = 0n, repeatable }: SendRequest): Promise<Intent> {
    const { intents } = this.deps;
    await this.lookBack(key);
    const wanted = { account: this.address, key, to, data, valueWei };
    const intent = await (repeatable ? beginAgain(intents, wanted) : intents.begin(wanted));
    if (intent.state !== 'created') return intent;
    const act = requestedAct(intent);
    return this.sign(intent, act, await this.prepare(intent, act));
  }

  private async fill(intent: Intent, nonce: number): Promise<Intent | undefined> {
    const act = requestedAct(intent);
    return this.signAt(nonce, intent, act, await this.prepare(intent, act));
  }

  /** What was done under this key may have been taken back by a reorganisation; then it is under way again, and not to be doubled. */
  private async lookBack(key: string): Promise<void> {
    const mined = await this.deps.intents.listMined(this.address);
    for (const intent of mined)
      if (intent.key === key || intent.key.startsWith(`${key}:`)) await this.mined.look(intent);
  }

  /** Simulates and prices. A refusal ends the intent before anything is spent; an unreachable node leaves it as it is. */
  private async prepare(intent: Intent, act: Act): Promise<Price> {
    try {
      return await this.fees.priceOf(act, intent.key);
    } catch (error) {
      const isRefused = error instanceof AppError && error.code !== 'chain/failed';
      if (isRefused) await this.deps.intents.markFailed(intent.id, describeError(error), intent.attempts);
      throw error;
    }
  }

  /** The chain's count of mined transactions, or one past our own highest that is under way or, newer than that count, mined. */
  private async nextNonce(): Promise<number> {
    const { intents } = this.deps;
    // In this order: what another process signs, or notes as mined, in between is in one of them at least.
    const pending = await intents.listPending(this.address);
    const count = await this.minedCount();
    const mined = await intents.listMined(this.address);
    return Math.max(count, ...[...pending, ...mined].map(({ nonce = -1 }) => nonce + 1));
  }

  private minedCount(): Promise<number> {
    return this.deps.chain.provider.getTransactionCount(this.address, 'latest');
  }

  /** Signs under the next free nonce, and stores it. Another process may have been first: what it stored counts then. */
  private async sign(intent: Intent, act: Act, price: Price): Promise<Intent> {
    for (;;) {
      const stored = await this.signAt(await this.nextNonce(), intent, act, price);
      if (stored) return stored;
    }
  }

  /** Undefined when another act of the account holds the nonce. */
  private async signAt(nonce: number, intent: Intent, act: Act, price: Price): Promise<Intent | undefined> {
    const { chain, wallet, intents, clock } = this.deps;
    const raw = await wallet.signer.signTransaction({ type: 2, chainId: chain.chainId, nonce, ...act, ...price });
    const attempt = {
      hash: Transaction.from(raw).hash ?? '',
      raw,
      maxFeePerGas: price.maxFeePerGas.toString(),
      maxPriorityFeePerGas: price.maxPriorityFeePerGas.toString(),
      atMs: clock.now(),
    };
    return intents.saveAttempt(intent.id, nonce, attempt, intent.attempts);
  }

  private follow(intent: Intent): Promise<string> {
    const running = this.followed.get(intent.id);
    if (running !== undefined) return running;
    const following = this.untilMined(intent).finally(() => this.followed.delete(intent.id));
    this.followed.set(intent.id, following);
    return following;
  }

  private async untilMined(intent: Intent): Promise<string> {
    const { clock, signal } = this.deps;
    const watch: Watch = { intent, sentAtMs: Number.NEGATIVE_INFINITY };
    for (;;) {
      const { state, key, minedHash = '', reason = 'another process gave it up' } = watch.intent;
      if (state === 'mined' || state === 'final') return minedHash;
      if (state !== 'signed') throw reverted(key, reason, []);
      const receipt = await this.survive(key, () => this.advance(watch));
      if (receipt) return this.finish(watch.intent, receipt);
      await clock.sleep(this.options.pollMs ?? POLL_MS, signal);
    }
  }

  /** One look, which survives trouble with the node: what is signed and stored can wait. */
  private async survive<T>(key: string, look: () => Promise<T>): Promise<T | undefined> {
    try {
      return await look();
    } catch (error) {
      if (this.deps.signal.aborted) throw error;
      if (error instanceof AppError && error.code !== 'chain/failed') throw error;
      this.deps.logger.debug('Transaction could not be watched; trying again', { key }, error);
      return undefined;
    }
  }

  private async advance(watch: Watch): Promise<TransactionReceipt | undefined> {
    const { stuckMs = 60_000, receiptLagMs = RECEIPT_LAG_MS, resendMs = 5000 } = this.options;
    const { intent } = watch;
    const { nonce = 0 } = intent;
    const last = lastAttempt(intent);
    const now = this.deps.clock.now();
    const isDue = now - watch.sentAtMs >= resendMs;
    if (isDue) {
      watch.sentAtMs = now;
      await this.broadcast(last.raw, intent.key);
    }
    const receipt = await this.findReceipt(intent.attempts);
    if (receipt) return receipt;
    const mined = await this.minedCount();
    const countedAtMs = this.deps.clock.now();
    // Counted anew when a reorganisation gives the nonce back; from the answer on, for an answer can take its time.
    watch.passedAtMs = mined > nonce ? (watch.passedAtMs ?? countedAtMs) : undefined;
    if (watch.passedAtMs !== undefined) {
      if (countedAtMs - watch.passedAtMs >= receiptLagMs) await this.exclusively(() => this.signAgain(watch));
    } else if (mined < nonce) {
      if (isDue) await this.gaps.close(watch, mined);
    } else if (now - last.atMs > stuckMs) {
      await this.exclusively(() => this.replace(watch));
    }
    return undefined;
  }

  /** Throws when the node cannot say: taking that for "not mined" could double the act. */
  private async findReceipt(attempts: readonly Attempt[]): Promise<TransactionReceipt | undefined> {
    for (const { hash } of attempts) {
      const receipt = await this.deps.chain.provider.getTransactionReceipt(hash);
      if (receipt) return receipt;
    }
    return undefined;
  }

  private async finish(intent: Intent, receipt: TransactionReceipt): Promise<string> {
    const { intents, chain } = this.deps;
    const { id, key, attempts } = intent;
    if (receipt.status === 1) {
      await intents.markMined(id, receipt.hash);
      return receipt.hash;
    }
    await intents.markFailed(id, `reverted in ${receipt.hash}`, attempts);
    throw await explainMined(chain, { from: this.address, ...signedAct(intent) }, receipt, key);
  }

  /**
   * Somebody else used our nonce (the operator ran a command with the same key), so that no version can be mined any more. Nodes
   * know a receipt later than the nonce, hence the long wait before this.
   */
  private async signAgain(watch: Watch): Promise<void> {
    if (await this.isOvertaken(watch)) return;
    const { intent } = watch;
    if (await this.findReceipt(intent.attempts)) return;
    if (isFiller(intent)) return this.giveUp(watch);
    const act = signedAct(intent);
    const price = await this.prepare(intent, act);
    this.deps.logger.warn('Nonce was used by another process; signing again', { key: intent.key, nonce: intent.nonce });
    this.renew(watch, await this.sign(intent, act, price));
  }

  /** Whoever used its nonce has done all that it was for. */
  private async giveUp(watch: Watch): Promise<void> {
    const { id, attempts } = watch.intent;
    await this.deps.intents.markFailed(id, 'its nonce is used', attempts);
    this.renew(watch, await this.deps.intents.get(id));
  }

  /** The same nonce at a higher fee; the stored list then holds one hash more. */
  private async replace(watch: Watch): Promise<void> {
    if (await this.isOvertaken(watch)) return;
    const { intent } = watch;
    const last = lastAttempt(intent);
    const price = this.fees.raised(last);
    if (!price) return;
    this.deps.logger.warn('Transaction is stuck; raising its fee', { key: intent.key, hash: last.hash });
    const replaced = await this.signAt(intent.nonce ?? 0, intent, signedAct(intent), price);
    if (replaced) this.renew(watch, replaced);
  }

  /** True when another process has signed the intent again or ended it meanwhile; what it stored counts from now on. */
  private async isOvertaken(watch: Watch): Promise<boolean> {
    const stored = await this.deps.intents.get(watch.intent.id);
    if (stored.state === 'signed' && haveSameVersions(stored.attempts, watch.intent.attempts)) return false;
    this.renew(watch, stored);
    return true;
  }

  private renew(watch: Watch, intent: Intent): void {
    Object.assign(watch, { intent, sentAtMs: Number.NEGATIVE_INFINITY, passedAtMs: undefined, gapAtMs: undefined });
  }
}
