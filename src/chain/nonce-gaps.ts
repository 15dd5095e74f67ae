import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Chain } from './client';
import type { Fees } from './fees';
import type { Intent, IntentStore } from './intents';
import type { Wallet } from './wallet';

/** A signed act that can be mined only after those of lower nonces. */
export interface WaitsBehind {
  intent: Intent;
  /** Since when a lower nonce is held by nothing that is under way. */
  gapAtMs?: number | undefined;
}

interface GapDeps {
  chain: Chain;
  wallet: Wallet;
  address: Address;
  intents: IntentStore;
  fees: Fees;
  clock: Clock;
  logger: Logger;
  /** Has a transaction followed that ours must wait for. */
  help(intent: Intent): void;
  broadcast(raw: string, key: string): Promise<void>;
}

/** Sees to it that no signed act waits for ever behind a nonce that nobody sends. */
export class NonceGaps {
  constructor(
    /** A gap is believed in only after so long: until then it is more likely that the node that counted is behind. */
    private readonly believeMs: number,
    private readonly deps: GapDeps,
  ) {}

  /** Has every nonce from the chain's next to ours followed: the process that should have sent it may be dead. */
  async close(watch: WaitsBehind, mined: number): Promise<void> {
    const { clock, intents, address, help } = this.deps;
    const pending = await intents.listPending(address);
    const holes: number[] = [];
    for (let nonce = mined; nonce < (watch.intent.nonce ?? 0); nonce += 1) {
      const holder = pending.find((other) => other.nonce === nonce);
      if (holder) help(holder);
      else holes.push(nonce);
    }
    watch.gapAtMs = holes.length > 0 ? (watch.gapAtMs ?? clock.now()) : undefined;
    if (watch.gapAtMs === undefined || clock.now() - watch.gapAtMs < this.believeMs) return;
    const unmined = await intents.listMinedFrom(address, mined);
    for (const nonce of holes) {
      const holder = unmined.find((other) => other.nonce === nonce);
      if (holder) help(await intents.reopen(holder.id));
      else await this.fill(nonce);
    }
  }

  /** Uses up a nonce that none of our acts holds. To sign a waiting act anew under it could double that act. */
  private async fill(nonce: number): Promise<void> {
    const { chain, wallet, address, fees, logger, broadcast } = this.deps;
    const [act, key] = [{ to: address, data: '0x', value: 0n }, `nonce ${nonce}`];
    try {
      const price = await fees.priceOf(act, key);
      const raw = await wallet.signer.signTransaction({ type: 2, chainId: chain.chainId, nonce, ...act, ...price });
      logger.warn('Nonce was left out; using it up, so that later ones can be mined', { nonce });
      await broadcast(raw, key);
    } catch (error) {
      // An act that is signed waits for funds as it does for the node.
      logger.warn('Nonce was left out and cannot be used up yet', { nonce }, error);
    }
  }
}
