import type { TransactionReceipt } from 'ethers';
import type { Address } from '../../domain/ids';
import { type Attempt, haveSameVersions, type Intent } from '../../domain/intent';
import type { Clock } from '../../lib/clock';
import { AppError, describeError } from '../../lib/errors';
import { inTurn } from '../../lib/in-turn';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import type { Finality } from '../rpc/finality';
import { type Broadcast, openBroadcast } from './broadcast';
import { Fees, type Price } from './fees';
import { type Act, beginAgain, type IntentStore, lastAttempt, requestedAct, signedAct } from './intents';
import { MinedWatch } from './mined';
import { isFiller, NonceGaps, type WaitsBehind } from './nonce-gaps';
import { explainMined, reverted } from './revert';
import { Signing } from './signing';
import type { Wallet } from './wallet';

export interface SendRequest {
  /** Names the act for this account, e.g. `0x…:submit`. Sending it again gives the first outcome. */
  key: string;
  to: Address;
  data: string;
  valueWei?: bigint | undefined;
  /**
   * The act may be done again later, e.g. after a decline; `key` then names the kind of act. While one with the same content is
   * under way, also from before a crash, no second one is sent: `send` waits for the first.
   */
  repeatable?: boolean | undefined;
}

export interface Sender {
  readonly address: Address;
  /** Sends, once, and waits until it is mined. Throws `chain/reverted` with the contract's own reason. */
  send(request: SendRequest): Promise<{ hash: string }>;
  /** Whether the act is signed, mined or final already. To send it again then signs nothing, but waits for its outcome. */
  hasSigned(key: string): Promise<boolean>;
  /** What sending would cost, in wei, without sending it. */
  estimateWei(request: Pick<SendRequest, 'to' | 'data' | 'valueWei'>): Promise<bigint>;
  /** Waits until the act that `send` gave this hash for is final. It may end under another hash, which is returned. */
  settle(hash: string): Promise<{ hash: string }>;
  /** Sees transactions through that were signed before this process began; does not wait for them. */
  resume(): Promise<void>;
  /** As `resume`, but waits until each of them is mined or has failed; calls `onWait` first if there are any. */
  catchUp(onWait: () => void): Promise<void>;
  /** Until the signal aborts, sends again what a reorganisation removes before it is final. */
  keep(): Promise<void>;
}

export interface SenderOptions {
  /** After so long without being mined a transaction is sent again with a higher fee. */
  stuckMs?: number | undefined;
  pollMs?: number | undefined;
  /** How often the same bytes are sent again while they are not mined: a node may forget them, or may have been away. */
  resendMs?: number | undefined;
  /** How long a node may count a nonce as used before it has the receipt. Shorter risks doing an act twice, longer delays repair. */
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
 * The intent is stored before it is signed and the signed bytes before they are sent; a restart sends the same bytes. A signed act
 * waits for as long as no node can be reached: only the chain decides what becomes of it. `failed` cost nothing or only gas, and the
 * key may be sent again. A stuck transaction is replaced under its nonce, and then the hashes of all its versions are watched.
 * Only the lowest nonce under way can be stuck by itself. An act with a higher one waits, and sees the lower ones through meanwhile.
 *
 * Processes that share the account should share the store, which gives no nonce to two acts and no act to two signers. A program
 * without it may use a nonce of ours; we notice after `receiptLagMs` and sign our act again.
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
  /** Since when the chain counts its nonce as used although none of its versions has a receipt. */
  passedAtMs?: number | undefined;
}

class TransactionSender implements Sender {
  private readonly fees: Fees;
  private readonly signing: Signing;
  /** One signature at a time, so that no two take the same nonce. */
  private readonly exclusively = inTurn();
  private readonly broadcast: Broadcast;
  /** What is waited for, by intent: a second caller joins the first, else both might replace the transaction. */
  private readonly followed = new Map<string, Promise<string>>();
  /** Those among them that nobody here has sent, but that have lower nonces than something we did send. */
  private readonly helped = new Set<Promise<void>>();
  /** Ids of the intents that were sent here, by the hash that `send` returned. */
  private readonly sent = new Map<string, string>();
  private readonly gaps: NonceGaps;
  private readonly mined: MinedWatch;

  constructor(
    private readonly options: SenderOptions,
    private readonly deps: SenderDeps,
  ) {
    this.fees = new Fees(deps.chain, deps.wallet.address, options.maxFeePerGas);
    this.signing = new Signing(deps);
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
      // Our caller may end the process after this, so those we have seen through must be noted first. They may add others.
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

  async hasSigned(key: string): Promise<boolean> {
    const { state = 'created' } = (await this.deps.intents.find(this.address, key)) ?? {};
    return state !== 'created' && state !== 'failed';
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
    this.deps.signal.throwIfAborted();
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

  /** Sees an act with a lower nonce through, unless that is done already. */
  private help(intent: Intent): void {
    if (this.followed.has(intent.id)) return;
    const helping = this.takeUp(intent).finally(() => this.helped.delete(helping));
    this.helped.add(helping);
  }

  /** Stores the intent, and signs it unless it is signed already. */
  private async begin({ key, to, data, valueWei = 0n, repeatable }: SendRequest): Promise<Intent> {
    const { intents, signal } = this.deps;
    // Nobody is asked to wait any more, so nobody would learn of it.
    signal.throwIfAborted();
    await this.lookBack(key);
    const wanted = { account: this.address, key, to, data, valueWei };
    const intent = await (repeatable ? beginAgain(intents, wanted) : intents.begin(wanted));
    if (intent.state !== 'created') return intent;
    const act = requestedAct(intent);
    return this.signing.sign(intent, act, await this.prepare(intent, act));
  }

  /** Signs an intent that uses up a nonce left out. Undefined when another act of the account holds it. */
  private async fill(intent: Intent, nonce: number): Promise<Intent | undefined> {
    const act = requestedAct(intent);
    return this.signing.signAt(nonce, intent, act, await this.prepare(intent, act));
  }

  /** Puts an act of this key that a reorganisation has removed under way again, so that it is not done twice. */
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

  /** Undefined when the node is in trouble: what is signed and stored can wait for the next look. */
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

  /** One look at a signed act: sends its bytes if that is due, and gives its receipt if there is one. */
  private async advance(watch: Watch): Promise<TransactionReceipt | undefined> {
    const { intent } = watch;
    const now = this.deps.clock.now();
    const isDue = now - watch.sentAtMs >= (this.options.resendMs ?? 5000);
    if (isDue) {
      watch.sentAtMs = now;
      await this.broadcast(lastAttempt(intent).raw, intent.key);
    }
    const receipt = await this.findReceipt(intent.attempts);
    if (!receipt) await this.unblock(watch, isDue, now);
    return receipt;
  }

  /** Does what an act without a receipt may need: to be signed again, to have lower nonces used up, or to pay a higher fee. */
  private async unblock(watch: Watch, isDue: boolean, now: number): Promise<void> {
    const { stuckMs = 60_000, receiptLagMs = RECEIPT_LAG_MS } = this.options;
    const { intent } = watch;
    const { nonce = 0 } = intent;
    const mined = await this.signing.minedCount();
    // Taken anew, for the answer may have been slow. Where a reorganisation gives the nonce back, the time begins afresh.
    const countedAtMs = this.deps.clock.now();
    watch.passedAtMs = mined > nonce ? (watch.passedAtMs ?? countedAtMs) : undefined;
    if (watch.passedAtMs !== undefined) {
      if (countedAtMs - watch.passedAtMs >= receiptLagMs) await this.exclusively(() => this.signAgain(watch));
    } else if (mined < nonce) {
      if (isDue) await this.gaps.close(watch, mined);
    } else if (now - lastAttempt(intent).atMs > stuckMs) {
      await this.exclusively(() => this.replace(watch));
    }
  }

  /** Throws when the node gives no answer: to take that for "not mined" could do the act twice. */
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

  /** For when another program with our key has used our nonce, so that none of our versions can be mined any more. */
  private async signAgain(watch: Watch): Promise<void> {
    if (await this.isOvertaken(watch)) return;
    const { intent } = watch;
    if (await this.findReceipt(intent.attempts)) return;
    if (isFiller(intent)) return this.giveUp(watch);
    const act = signedAct(intent);
    const price = await this.prepare(intent, act);
    this.deps.logger.warn('Nonce was used by another process; signing again', { key: intent.key, nonce: intent.nonce });
    this.renew(watch, await this.signing.sign(intent, act, price));
  }

  /** A filler is there to use up its nonce, and somebody else has done that. */
  private async giveUp(watch: Watch): Promise<void> {
    const { id, attempts } = watch.intent;
    await this.deps.intents.markFailed(id, 'its nonce is used', attempts);
    this.renew(watch, await this.deps.intents.get(id));
  }

  /** Signs the act under the same nonce at a higher fee, as one version more. */
  private async replace(watch: Watch): Promise<void> {
    if (await this.isOvertaken(watch)) return;
    const { intent } = watch;
    const last = lastAttempt(intent);
    const price = this.fees.raised(last);
    if (!price) return;
    this.deps.logger.warn('Transaction is stuck; raising its fee', { key: intent.key, hash: last.hash });
    const replaced = await this.signing.signAt(intent.nonce ?? 0, intent, signedAct(intent), price);
    if (replaced) this.renew(watch, replaced);
  }

  /** True when another process has signed the intent again or ended it meanwhile; the watch then goes on with what it stored. */
  private async isOvertaken(watch: Watch): Promise<boolean> {
    const stored = await this.deps.intents.get(watch.intent.id);
    if (stored.state === 'signed' && haveSameVersions(stored.attempts, watch.intent.attempts)) return false;
    this.renew(watch, stored);
    return true;
  }

  /** Goes on with what is stored now, as if the watch had just begun. */
  private renew(watch: Watch, intent: Intent): void {
    Object.assign(watch, { intent, sentAtMs: Number.NEGATIVE_INFINITY, passedAtMs: undefined, gapAtMs: undefined });
  }
}
