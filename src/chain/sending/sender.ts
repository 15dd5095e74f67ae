/** Sends the transactions of one account so that none is lost and none doubled. */
import type { Address } from '../../domain/ids';
import type { Intent } from '../../domain/intent';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import type { Finality } from '../rpc/finality';
import { openBroadcast } from './broadcast';
import { Fees } from './fees';
import { type IntentStore, isOfKey } from './intent-store';
import { MinedWatch } from './mined';
import { NonceGaps } from './nonce-gaps';
import { type PendingOptions, PendingWatch, RECEIPT_LAG_MS, RESEND_MS } from './pending';
import { Planning, type SendRequest } from './planning';
import { Signing } from './signing';
import { stillSigned } from './still-signed';
import type { Wallet } from './wallet';

export interface Sender {
  readonly address: Address;
  /**
   * Sends, once, and waits until it is mined. Throws `chain/reverted` with the contract's own reason. When
   * the signal aborts, the error says that what is signed still counts.
   */
  send(request: SendRequest): Promise<{ hash: string }>;
  /**
   * True when the act is signed, mined or final. Sending it again then signs nothing, but waits for its
   * outcome.
   */
  hasSigned(key: string): Promise<boolean>;
  /** Returns what sending would cost, in wei, without sending. */
  estimateWei(request: Pick<SendRequest, 'to' | 'data' | 'valueWei'>): Promise<bigint>;
  /**
   * Waits until the act that `send` returned this hash for is final. It may end under another hash, which is
   * returned.
   */
  settle(hash: string): Promise<{ hash: string }>;
  /** Starts to watch transactions that were signed before this process began; does not wait for them. */
  resume(): Promise<void>;
  /**
   * Like `resume`, but waits until each of them is mined or has failed; calls `onWait` first if there are
   * any. It does not wait for acts of the key `except`.
   */
  catchUp(onWait?: () => void, except?: string): Promise<void>;
  /** Until the signal aborts, sends again whatever a reorganisation removes before it is final. */
  keep(): Promise<void>;
}

export interface SenderOptions extends PendingOptions {
  /** Rule for final blocks; by default the chain's own `finalized` tag, or else two blocks on top. */
  finality?: Finality | undefined;
  /** Time between two checks by `keep` that mined transactions still are. Default: 15 s. */
  lookBackMs?: number | undefined;
  /** Bound of the price per gas, in wei, that no transaction exceeds. Default: 500 gwei. */
  maxFeePerGas?: bigint | undefined;
}

interface SenderDeps {
  chain: Chain;
  wallet: Wallet;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

/**
 * Opens the sender of one account. It is safe to kill at any moment:
 *
 *     created ──sign, store──▶ signed ──send, watch──▶ mined ──blocks on top──▶ final
 *        │ refused in simulation   │ ▲ reverted            │
 *        └───────▶ failed ◀────────┘ └──removed by a ──────┘
 *                                       reorganisation
 *
 * The intent is stored before it is signed, and the signed bytes before they are sent; a restart sends the
 * same bytes. A signed act waits for as long as no node is reachable: only the chain decides its outcome.
 * `failed` has cost nothing or only gas, and the key may be sent again. A stuck transaction is replaced under
 * its nonce, and from then on the hashes of all its versions are watched. Only the lowest pending nonce can
 * be stuck by itself; an act with a higher one waits, and watches the lower ones too.
 *
 * Processes that share the account should share the store, which gives no nonce to two acts and no act to two
 * signers. A program without it may use a nonce of this sender, which notices after `receiptLagMs` and signs
 * its act again.
 */
export function openSender(options: SenderOptions, deps: SenderDeps): Sender {
  return new TransactionSender(options, deps);
}

class TransactionSender implements Sender {
  readonly address: Address;
  private readonly fees: Fees;
  private readonly planning: Planning;
  private readonly pending: PendingWatch;
  private readonly mined: MinedWatch;
  /** Watched acts by intent: a second caller joins the first, or both might replace the transaction. */
  private readonly followed = new Map<string, Promise<string>>();
  /** Watches of acts that were not sent by this process but have lower nonces than one that was. */
  private readonly lower = new Set<Promise<void>>();
  /** Ids of the intents that this process has sent, by the hash that `send` returned. */
  private readonly sent = new Map<string, string>();

  constructor(
    private readonly options: SenderOptions,
    private readonly deps: SenderDeps,
  ) {
    const { chain, wallet, logger } = deps;
    const { receiptLagMs = RECEIPT_LAG_MS, finality = { confirmations: 2, preferTag: true } } = options;
    this.address = wallet.address;
    this.fees = new Fees({ chain, address: wallet.address, logger }, options.maxFeePerGas);
    const signing = new Signing(deps);
    const shared = { ...deps, address: wallet.address, fees: this.fees, signing };
    this.mined = new MinedWatch(finality, { ...shared, takeUp: (intent) => this.takeUp(intent) });
    const planning = new Planning(options.resendMs ?? RESEND_MS, {
      ...shared,
      checkMined: (intent) => this.mined.look(intent),
    });
    const gaps = new NonceGaps(receiptLagMs, {
      ...shared,
      follow: (intent) => this.followLower(intent),
      sign: (intent, nonce) => planning.fill(intent, nonce),
    });
    this.planning = planning;
    this.pending = new PendingWatch(options, { ...shared, broadcast: openBroadcast(chain, logger), planning, gaps });
  }

  async send(request: SendRequest): Promise<{ hash: string }> {
    const intent = await this.planning.begin(request);
    try {
      const hash = await this.follow(intent);
      this.sent.set(hash, intent.id);
      return { hash };
    } catch (error) {
      throw stillSigned(error, intent, request.undo);
    } finally {
      // The caller may end the process after this, so acts with lower nonces are seen to their end first.
      // They may add others.
      while (this.lower.size > 0) await Promise.all(this.lower);
    }
  }

  async settle(hash: string): Promise<{ hash: string }> {
    const { intents } = this.deps;
    const id = this.sent.get(hash);
    if (id === undefined) throw new Error(`Transaction ${hash} was not sent by this process`);
    for (;;) {
      const minedHash = await this.follow(await intents.get(id));
      const state = await this.pending.unlessUnreachable(hash, async () => this.mined.look(await intents.get(id)));
      if (state === 'final') return { hash: minedHash };
      await this.pending.pause();
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

  async catchUp(onWait?: () => void, except?: string): Promise<void> {
    const all = await this.deps.intents.listPending(this.address);
    const pending = all.filter(({ key }) => except === undefined || !isOfKey(key, except));
    if (pending.length > 0) onWait?.();
    await Promise.all(pending.map((intent) => this.takeUp(intent)));
    this.deps.signal.throwIfAborted();
  }

  keep(): Promise<void> {
    return this.mined.run(this.options.lookBackMs ?? 15_000);
  }

  private follow(intent: Intent): Promise<string> {
    const running = this.followed.get(intent.id);
    if (running !== undefined) return running;
    const following = this.pending.untilMined(intent).finally(() => this.followed.delete(intent.id));
    this.followed.set(intent.id, following);
    return following;
  }

  /** Follows an act that nobody waits for; its failure is only logged. */
  private async takeUp(intent: Intent): Promise<void> {
    const { logger, signal } = this.deps;
    try {
      await this.follow(intent);
    } catch (error) {
      if (!signal.aborted) logger.warn('Earlier transaction failed', { key: intent.key }, error);
    }
  }

  /** Follows an act with a lower nonce, unless it is followed already. */
  private followLower(intent: Intent): void {
    if (this.followed.has(intent.id)) return;
    const following = this.takeUp(intent).finally(() => this.lower.delete(following));
    this.lower.add(following);
  }
}
