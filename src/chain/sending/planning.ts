/** Decides what gets signed, one act at a time: new acts, new versions, fillers of unused nonces. */
import { formatGwei } from '../../domain/gas';
import type { Address } from '../../domain/ids';
import { haveSameVersions, type Intent } from '../../domain/intent';
import type { Clock } from '../../lib/clock';
import { crashPoint } from '../../lib/crash-point';
import { AppError, describeError } from '../../lib/errors';
import { inTurn } from '../../lib/in-turn';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import type { Fees, FeeTrouble, Price } from './fees';
import { type Act, beginAgain, type IntentStore, isOfKey, lastAttempt, requestedAct, signedAct } from './intent-store';
import { findReceipt } from './mined';
import { isFiller } from './nonce-gaps';
import type { Signing } from './signing';

export interface SendRequest {
  /**
   * Name of the act, unique for this account, e.g. `0x…:submit`. Sending it again returns the first outcome.
   */
  key: string;
  to: Address;
  data: string;
  valueWei?: bigint | undefined;
  /**
   * The act may be done again later, e.g. after a decline; `key` then names the kind of act. While one with
   * the same content is pending, even from before a crash, no second one is sent: `send` waits for the first.
   */
  repeatable?: boolean | undefined;
  /** The command that undoes the act, for people who end a command that waits for it. */
  undo?: string | undefined;
}

interface PlanningDeps {
  chain: Pick<Chain, 'provider'>;
  address: Address;
  intents: IntentStore;
  fees: Pick<Fees, 'priceOf' | 'raised'>;
  signing: Pick<Signing, 'sign' | 'signAt'>;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
  /** Checks a mined act against the chain; one that a reorganisation has removed becomes `signed` again. */
  checkMined(intent: Intent): Promise<unknown>;
}

export class Planning {
  /** One signature at a time, so that no two take the same nonce. */
  private readonly exclusively = inTurn();

  constructor(
    /** Time between two looks at the fees while they are too high to sign. */
    private readonly feeMs: number,
    private readonly deps: PlanningDeps,
  ) {}

  /**
   * Stores the intent, and signs it unless it is signed already. While the chain asks for more than the
   * account may pay per gas, it waits; meanwhile the act may come to be refused.
   */
  async begin(request: SendRequest): Promise<Intent> {
    for (;;) {
      const intent = await this.exclusively(() => this.beginNow(request));
      if (intent) return intent;
      await this.deps.clock.sleep(this.feeMs, this.deps.signal);
    }
  }

  /**
   * Signs an intent that only uses up an unused nonce. Returns undefined when another act of the account
   * holds the nonce, and while the fees are too high.
   */
  fill(intent: Intent, nonce: number): Promise<Intent | undefined> {
    return this.exclusively(async () => {
      const act = requestedAct(intent);
      const price = await this.price(intent, act);
      return price && this.deps.signing.signAt(nonce, intent, act, price);
    });
  }

  /**
   * Signs an act under another nonce, because another program with the same key has used its nonce: none of
   * its versions can be mined any more. Returns the intent as it is stored then; undefined when it was mined
   * after all, and while the fees are too high.
   */
  signAgain(intent: Intent): Promise<Intent | undefined> {
    return this.exclusively(async () => (await this.findOvertaken(intent)) ?? this.signAgainNow(intent));
  }

  /**
   * Signs one more version of an act whose fee is too low, with the same nonce and a higher fee. Returns the
   * intent as it is stored then; undefined when its fee is enough, or may not be higher.
   */
  async raiseFee(intent: Intent, trouble: FeeTrouble): Promise<Intent | undefined> {
    const { fees, signing, logger } = this.deps;
    const last = lastAttempt(intent);
    const price = await fees.raised(last, intent.key, trouble);
    if (!price) return undefined;
    return this.exclusively(async () => {
      const overtaken = await this.findOvertaken(intent);
      if (overtaken) return overtaken;
      const fee = formatGwei(price.maxFeePerGas);
      logger.info('Raising the fee of a transaction', { key: intent.key, hash: last.hash, fee });
      return signing.signAt(intent.nonce ?? 0, intent, signedAct(intent), price);
    });
  }

  private async beginNow({ key, to, data, valueWei = 0n, repeatable }: SendRequest): Promise<Intent | undefined> {
    const { address: account, intents, signing, signal } = this.deps;
    // After an abort nobody waits for the outcome, so nothing new is begun.
    signal.throwIfAborted();
    await this.checkMinedOf(key);
    const wanted = { account, key, to, data, valueWei };
    const intent = await (repeatable ? beginAgain(intents, wanted) : intents.begin(wanted));
    if (intent.state !== 'created') return intent;
    crashPoint('intent.stored');
    const act = requestedAct(intent);
    const price = await this.price(intent, act);
    return price && signing.sign(intent, act, price);
  }

  /** Reopens an act of this key that a reorganisation has removed, so that it is not done twice. */
  private async checkMinedOf(key: string): Promise<void> {
    const mined = await this.deps.intents.listMined(this.deps.address);
    for (const intent of mined) if (isOfKey(intent.key, key)) await this.deps.checkMined(intent);
  }

  /**
   * Simulates and prices; undefined while the fees are too high. A refusal fails the intent before anything
   * is spent; an unreachable node leaves it as it is.
   */
  private async price(intent: Intent, act: Act): Promise<Price | undefined> {
    try {
      return await this.deps.fees.priceOf(act, intent.key);
    } catch (error) {
      const isRefused = error instanceof AppError && error.code !== 'chain/failed';
      if (isRefused) await this.deps.intents.markFailed(intent.id, describeError(error), intent.attempts);
      throw error;
    }
  }

  private async signAgainNow(intent: Intent): Promise<Intent | undefined> {
    const { chain, intents, signing, logger } = this.deps;
    if (await findReceipt(chain, intent.attempts)) return undefined;
    if (isFiller(intent)) {
      // Its only purpose was to use up the nonce, and another program has done that.
      await intents.markFailed(intent.id, 'its nonce is used', intent.attempts);
      return intents.get(intent.id);
    }
    const act = signedAct(intent);
    const price = await this.price(intent, act);
    if (!price) return undefined;
    logger.warn('Nonce was used by another process; signing again', { key: intent.key, nonce: intent.nonce });
    return signing.sign(intent, act, price);
  }

  /** Returns the stored intent when another process has signed it again or ended it meanwhile. */
  private async findOvertaken(intent: Intent): Promise<Intent | undefined> {
    const stored = await this.deps.intents.get(intent.id);
    const isSame = stored.state === 'signed' && haveSameVersions(stored.attempts, intent.attempts);
    return isSame ? undefined : stored;
  }
}
