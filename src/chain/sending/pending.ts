/** Watches signed acts until each is mined: sends again, and unblocks what cannot proceed. */
import { Transaction, type TransactionReceipt } from 'ethers';
import type { Address } from '../../domain/ids';
import type { Intent } from '../../domain/intent';
import type { Clock } from '../../lib/clock';
import { crashPoint } from '../../lib/crash-point';
import { AppError } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import type { Broadcast } from './broadcast';
import { type IntentStore, lastAttempt, signedAct } from './intent-store';
import { findReceipt } from './mined';
import type { NonceGaps, WaitsBehind } from './nonce-gaps';
import type { Planning } from './planning';
import { explainMined, reverted } from './revert';
import type { Signing } from './signing';

export interface PendingOptions {
  /** Time without being mined after which a transaction is sent again with a higher fee. Default: 60 s. */
  stuckMs?: number | undefined;
  /** Time between two looks at a pending transaction. Default: 300 ms. */
  pollMs?: number | undefined;
  /**
   * Time between two sends of the same bytes: a node may forget them, or may have been unreachable. Also that
   * between two looks at the fees while they are too high to sign. Default: 5 s.
   */
  resendMs?: number | undefined;
  /**
   * How long a node may count a nonce as used before it has the receipt. A shorter time risks doing an act
   * twice, a longer one delays repair. Default: 10 s.
   */
  receiptLagMs?: number | undefined;
}

export const RECEIPT_LAG_MS = 10_000;
export const RESEND_MS = 5000;
const POLL_MS = 300;

interface PendingDeps {
  chain: Chain;
  address: Address;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
  broadcast: Broadcast;
  signing: Pick<Signing, 'minedCount'>;
  planning: Pick<Planning, 'signAgain' | 'raiseFee'>;
  gaps: Pick<NonceGaps, 'close'>;
}

/** A signed intent on its way to a block. */
interface Watch extends WaitsBehind {
  sentAtMs: number;
  /** What the node said when it last refused the newest version. */
  refusal?: string | undefined;
  /** Since when the chain counts the nonce as used although none of the versions has a receipt. */
  passedAtMs?: number | undefined;
}

export class PendingWatch {
  constructor(
    private readonly options: PendingOptions,
    private readonly deps: PendingDeps,
  ) {}

  /** Returns the hash of the mined version. Throws `chain/reverted` or `chain/out-of-gas` when it failed. */
  async untilMined(intent: Intent): Promise<string> {
    const watch: Watch = { intent, sentAtMs: Number.NEGATIVE_INFINITY };
    for (;;) {
      const { state, key, minedHash = '', reason = 'another process has ended it' } = watch.intent;
      if (state === 'mined' || state === 'final') return minedHash;
      if (state !== 'signed') throw reverted(key, reason, []);
      const receipt = await this.unlessUnreachable(key, () => this.advance(watch));
      if (receipt) return this.finish(watch.intent, receipt);
      await this.pause();
    }
  }

  /** Returns undefined when the node fails: everything signed is stored, and can wait for the next look. */
  async unlessUnreachable<T>(key: string, look: () => Promise<T>): Promise<T | undefined> {
    try {
      return await look();
    } catch (error) {
      if (this.deps.signal.aborted) throw error;
      if (error instanceof AppError && error.code !== 'chain/failed') throw error;
      this.deps.logger.debug('Transaction could not be watched; trying again', { key }, error);
      return undefined;
    }
  }

  /** Waits for the time between two looks. */
  async pause(): Promise<void> {
    await this.deps.clock.sleep(this.options.pollMs ?? POLL_MS, this.deps.signal);
  }

  /** Looks once at a signed act: sends its bytes if that is due, and returns its receipt if there is one. */
  private async advance(watch: Watch): Promise<TransactionReceipt | undefined> {
    const { intent } = watch;
    const now = this.deps.clock.now();
    const isDue = now - watch.sentAtMs >= (this.options.resendMs ?? RESEND_MS);
    if (isDue) {
      watch.sentAtMs = now;
      crashPoint('intent.signed');
      watch.refusal = await this.deps.broadcast(lastAttempt(intent).raw, intent.key);
      crashPoint('intent.sent');
    }
    const receipt = await findReceipt(this.deps.chain, intent.attempts);
    if (!receipt) await this.unblock(watch, isDue, now);
    return receipt;
  }

  /** Does what an act without a receipt may need: another nonce, lower nonces used up, or a higher fee. */
  private async unblock(watch: Watch, isDue: boolean, now: number): Promise<void> {
    const { stuckMs = 60_000, receiptLagMs = RECEIPT_LAG_MS } = this.options;
    const { planning, signing, gaps, clock } = this.deps;
    const { intent } = watch;
    const { nonce = 0 } = intent;
    const mined = await signing.minedCount();
    // Read again, for the answer may have been slow. When a reorganisation frees the nonce, the time starts
    // over.
    const countedAtMs = clock.now();
    watch.passedAtMs = mined > nonce ? (watch.passedAtMs ?? countedAtMs) : undefined;
    if (watch.passedAtMs !== undefined) {
      if (countedAtMs - watch.passedAtMs >= receiptLagMs) renew(watch, await planning.signAgain(intent));
    } else if (mined < nonce) {
      if (isDue) await gaps.close(watch, mined);
    } else {
      const isStuck = now - lastAttempt(intent).atMs > stuckMs;
      renew(watch, await planning.raiseFee(intent, { isStuck, refusal: watch.refusal }));
    }
  }

  private async finish(intent: Intent, receipt: TransactionReceipt): Promise<string> {
    const { intents, chain, address } = this.deps;
    const { id, key, attempts } = intent;
    if (receipt.status === 1) {
      crashPoint('receipt.found');
      await intents.markMined(id, receipt.hash);
      crashPoint('intent.noted');
      return receipt.hash;
    }
    await intents.markFailed(id, `reverted in ${receipt.hash}`, attempts);
    const { raw } = attempts.find(({ hash }) => hash === receipt.hash) ?? lastAttempt(intent);
    const call = { from: address, ...signedAct(intent), gasLimit: Transaction.from(raw).gasLimit };
    throw await explainMined(chain, call, receipt, key);
  }
}

/**
 * Continues with the intent as it is stored now, as if the watch had just begun; does nothing when nothing
 * has changed.
 */
function renew(watch: Watch, intent: Intent | undefined): void {
  if (!intent) return;
  const sentAtMs = Number.NEGATIVE_INFINITY;
  Object.assign(watch, { intent, sentAtMs, refusal: undefined, passedAtMs: undefined, gapAtMs: undefined });
}
