import { randomUUID } from 'node:crypto';
import { isError, Transaction, type TransactionReceipt } from 'ethers';
import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { AppError, describeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Chain } from './client';
import { type Act, type Attempt, actOf, type Intent, type IntentStore, isSameAct, lastAttempt } from './intents';
import { openQueue } from './queue';
import { explainFailure, noFunds, reverted } from './revert';
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
  /** What sending would cost, in wei, without sending it. */
  estimateWei(request: Pick<SendRequest, 'to' | 'data' | 'valueWei'>): Promise<bigint>;
  /** Takes up transactions that were signed before this process began. */
  resume(): Promise<void>;
}

export interface SenderOptions {
  /** After so long without being mined a transaction is sent again with a higher fee. */
  stuckMs?: number | undefined;
  pollMs?: number | undefined;
  /** How long a node may know that a nonce is used before it knows the receipt. Shorter risks doubling, longer delays repair. */
  receiptLagMs?: number | undefined;
  /** No replacement pays more per gas than this, in wei. */
  maxFeePerGas?: bigint | undefined;
}

const GWEI = 1_000_000_000n;
/** How often the same bytes are sent again while they are not mined: a node may forget them, or have been away. */
const RESEND_MS = 5000;

/**
 * Sends transactions so that none is lost and none doubled, whenever the process dies.
 *
 *     created ──sign, store──▶ signed ──send, watch──▶ mined
 *        │ refused in simulation   │ reverted                  (replace: same nonce, higher fee; signed stays signed)
 *        └───────▶ failed ◀────────┘
 *
 * The intent is stored before it is signed, the signed bytes before they are sent, and a restart sends the same bytes. From
 * `signed` on the chain alone decides: an unreachable node is waited for. `failed` cost nothing or only gas; sending the key again
 * begins it afresh. This object should be the account's only user, because it chooses the nonces; that another process used one
 * is noticed, late, and mended. A stuck transaction is replaced under its nonce, and every version's hash is watched.
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

interface Price {
  gasLimit: bigint;
  maxFeePerGas: bigint;
  maxPriorityFeePerGas: bigint;
}

/** A signed intent on its way. */
interface Watch {
  intent: Intent;
  sentAtMs: number;
  /** Since when its nonce is used up although none of its versions is known to be mined. */
  passedAtMs?: number | undefined;
}

class TransactionSender implements Sender {
  /** Whoever signs needs the nonce to itself. */
  private readonly exclusively = openQueue();
  /** By intent; two who wait for the same one must not both replace it. */
  private readonly followed = new Map<string, Promise<string>>();

  constructor(
    private readonly options: SenderOptions,
    private readonly deps: SenderDeps,
  ) {}

  get address(): Address {
    return this.deps.wallet.address;
  }

  async send(request: SendRequest): Promise<{ hash: string }> {
    const intent = await this.exclusively(() => this.begin(request));
    if (intent.state === 'mined') return { hash: intent.minedHash ?? '' };
    return { hash: await this.follow(intent) };
  }

  async estimateWei({ to, data, valueWei }: Pick<SendRequest, 'to' | 'data' | 'valueWei'>): Promise<bigint> {
    const { provider } = this.deps.chain;
    try {
      const gas = await provider.estimateGas({ from: this.address, to, data, value: valueWei ?? 0n });
      const { maxFeePerGas: price, gasPrice } = await provider.getFeeData();
      return gas * (price ?? gasPrice ?? 0n);
    } catch (error) {
      throw explainFailure(error, 'estimate', this.address);
    }
  }

  async resume(): Promise<void> {
    const { intents, logger, signal } = this.deps;
    for (const intent of await intents.listPending(this.address)) {
      void this.follow(intent).catch((error) => {
        if (!signal.aborted) logger.warn('Earlier transaction failed', { key: intent.key }, error);
      });
    }
  }

  /** The intent, signed if it was not yet. */
  private async begin({ key, to, data, valueWei = 0n, repeatable }: SendRequest): Promise<Intent> {
    const { intents } = this.deps;
    const act = { to, data, value: valueWei };
    const twin = repeatable ? await this.findTwin(key, act) : undefined;
    if (twin) return twin;
    const fullKey = repeatable ? `${key}:${randomUUID()}` : key;
    const intent = await intents.begin({ account: this.address, key: fullKey, to, data, valueWei });
    if (intent.state !== 'created') return intent;
    const price = await this.prepare(intent, act);
    return this.sign(intent, act, await this.nextNonce(), price);
  }

  private async findTwin(key: string, act: Act): Promise<Intent | undefined> {
    const pending = await this.deps.intents.listPending(this.address);
    return pending.find((intent) => intent.key.startsWith(`${key}:`) && isSameAct(actOf(intent), act));
  }

  /** Simulates and prices. A refusal ends the intent before anything is spent; an unreachable node leaves it as it is. */
  private async prepare(intent: Intent, act: Act): Promise<Price> {
    const { chain, intents } = this.deps;
    try {
      const gas = await chain.provider.estimateGas({ from: this.address, ...act });
      const price = { gasLimit: (gas * 6n) / 5n, ...(await this.currentFees()) };
      const needWei = act.value + price.gasLimit * price.maxFeePerGas;
      if ((await chain.provider.getBalance(this.address)) < needWei) throw noFunds(this.address, intent.key);
      return price;
    } catch (error) {
      const reason = error instanceof AppError ? error : explainFailure(error, intent.key, this.address);
      if (reason.code !== 'chain/failed') await intents.markFailed(intent.id, describeError(reason));
      throw reason;
    }
  }

  private async currentFees(): Promise<Omit<Price, 'gasLimit'>> {
    const fees = await this.deps.chain.provider.getFeeData();
    const priority = fees.maxPriorityFeePerGas ?? GWEI;
    return {
      maxFeePerGas: this.capped(fees.maxFeePerGas ?? 2n * GWEI + priority),
      maxPriorityFeePerGas: this.capped(priority),
    };
  }

  private capped(fee: bigint): bigint {
    const { maxFeePerGas = 500n * GWEI } = this.options;
    return fee < maxFeePerGas ? fee : maxFeePerGas;
  }

  /** The chain's count of mined transactions, or one past our own highest that is still under way. */
  private async nextNonce(): Promise<number> {
    const mined = await this.minedCount();
    const pending = await this.deps.intents.listPending(this.address);
    return Math.max(mined, ...pending.map((intent) => (intent.nonce ?? -1) + 1));
  }

  private minedCount(): Promise<number> {
    return this.deps.chain.provider.getTransactionCount(this.address, 'latest');
  }

  private async sign(intent: Intent, act: Act, nonce: number, price: Price): Promise<Intent> {
    const { chain, wallet, intents, clock } = this.deps;
    const raw = await wallet.signer.signTransaction({ type: 2, chainId: chain.chainId, nonce, ...act, ...price });
    const attempt = {
      hash: Transaction.from(raw).hash ?? '',
      raw,
      maxFeePerGas: price.maxFeePerGas.toString(),
      maxPriorityFeePerGas: price.maxPriorityFeePerGas.toString(),
      atMs: clock.now(),
    };
    await intents.saveAttempt(intent.id, nonce, attempt);
    return { ...intent, state: 'signed', nonce, attempts: [...intent.attempts, attempt] };
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
      const receipt = await this.look(watch);
      if (receipt) return this.finish(watch.intent, receipt);
      await clock.sleep(this.options.pollMs ?? 300, signal);
    }
  }

  /** One look, which survives trouble with the node: what is signed and stored can wait. */
  private async look(watch: Watch): Promise<TransactionReceipt | undefined> {
    try {
      return await this.advance(watch);
    } catch (error) {
      if (this.deps.signal.aborted) throw error;
      if (error instanceof AppError && error.code !== 'chain/failed') throw error;
      this.deps.logger.debug('Transaction could not be watched; trying again', { key: watch.intent.key }, error);
      return undefined;
    }
  }

  private async advance(watch: Watch): Promise<TransactionReceipt | undefined> {
    const { stuckMs = 60_000, receiptLagMs = 10_000 } = this.options;
    const { intent } = watch;
    const last = lastAttempt(intent);
    const now = this.deps.clock.now();
    if (now - watch.sentAtMs >= RESEND_MS) {
      watch.sentAtMs = now;
      await this.broadcast(last.raw, intent.key);
    }
    const receipt = await this.findReceipt(intent.attempts);
    if (receipt) return receipt;
    if ((await this.minedCount()) > (intent.nonce ?? 0)) {
      watch.passedAtMs ??= now;
      if (now - watch.passedAtMs >= receiptLagMs) await this.exclusively(() => this.signAgain(watch));
    } else if (now - last.atMs > stuckMs) {
      await this.exclusively(() => this.replace(watch));
    }
    return undefined;
  }

  /** "Already known" and "nonce too low" mean that it, or another version, got there: the receipt will tell. */
  private async broadcast(raw: string, key: string): Promise<void> {
    const { chain, logger } = this.deps;
    try {
      await chain.provider.send('eth_sendRawTransaction', [raw]);
    } catch (error) {
      const isProgress =
        isError(error, 'NONCE_EXPIRED') || /already (known|imported)|nonce too low/i.test(describeError(error));
      logger[isProgress ? 'debug' : 'warn']('Broadcast was answered with an error', { key }, error);
    }
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
    const { id, key } = intent;
    if (receipt.status === 1) {
      await intents.markMined(id, receipt.hash);
      return receipt.hash;
    }
    await intents.markFailed(id, `reverted in ${receipt.hash}`);
    // The state it met is over; asking again tells the reason in most cases.
    const call = { from: this.address, ...actOf(intent), blockTag: receipt.blockNumber };
    const reason = await chain.provider.call(call).then(
      () => undefined,
      (error: unknown) => explainFailure(error, key, this.address),
    );
    throw reason?.code === 'chain/reverted' ? reason : reverted(key, `no reason given, in ${receipt.hash}`, []);
  }

  /**
   * Somebody else used our nonce (the operator ran a command with the same key), so that no version can be mined any more. Nodes
   * know a receipt later than the nonce, hence the long wait before this.
   */
  private async signAgain(watch: Watch): Promise<void> {
    if (await this.isNewer(watch)) return;
    const { intent } = watch;
    if (await this.findReceipt(intent.attempts)) return;
    const act = actOf(intent);
    const price = await this.prepare(intent, act);
    this.deps.logger.warn('Nonce was used by another process; signing again', { key: intent.key, nonce: intent.nonce });
    this.renew(watch, await this.sign(intent, act, await this.nextNonce(), price));
  }

  /** The same nonce at ×1.125 the fee, the least a node accepts; the stored list then holds one hash more. */
  private async replace(watch: Watch): Promise<void> {
    if (await this.isNewer(watch)) return;
    const { intent } = watch;
    const last = lastAttempt(intent);
    const price = {
      gasLimit: Transaction.from(last.raw).gasLimit,
      maxFeePerGas: this.raise(last.maxFeePerGas),
      maxPriorityFeePerGas: this.raise(last.maxPriorityFeePerGas),
    };
    if (price.maxFeePerGas.toString() === last.maxFeePerGas) return;
    this.deps.logger.warn('Transaction is stuck; raising its fee', { key: intent.key, hash: last.hash });
    this.renew(watch, await this.sign(intent, actOf(intent), intent.nonce ?? 0, price));
  }

  private raise(fee: string): bigint {
    return this.capped((BigInt(fee) * 1125n) / 1000n + 1n);
  }

  /** True when another process of this account has signed the intent again meanwhile; that version is watched from now on. */
  private async isNewer(watch: Watch): Promise<boolean> {
    const pending = await this.deps.intents.listPending(this.address);
    const stored = pending.find(({ id }) => id === watch.intent.id);
    if (!stored || stored.attempts.length <= watch.intent.attempts.length) return false;
    this.renew(watch, stored);
    return true;
  }

  private renew(watch: Watch, intent: Intent): void {
    Object.assign(watch, { intent, sentAtMs: Number.NEGATIVE_INFINITY, passedAtMs: undefined });
  }
}
