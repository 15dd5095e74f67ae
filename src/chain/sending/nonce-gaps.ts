/** Closes gaps in the nonces of an account, so that no signed act waits for ever behind an unused nonce. */
import type { Address } from '../../domain/ids';
import type { Intent } from '../../domain/intent';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import type { IntentStore } from './intent-store';

/** A signed act that can be mined only after those with lower nonces. */
export interface WaitsBehind {
  intent: Intent;
  /** Since when a lower nonce is missing, which the chain waits for and no pending act of the account has. */
  gapAtMs?: number | undefined;
}

interface GapDeps {
  address: Address;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  /** Follows another pending transaction until it is mined. */
  follow(intent: Intent): void;
  /** Signs and stores the intent under the nonce; undefined when another act has taken it meanwhile. */
  sign(intent: Intent, nonce: number): Promise<Intent | undefined>;
}

const FILLER = 'nonce:';

/** True for an act without effect that only uses up its nonce. */
export function isFiller({ key }: Intent): boolean {
  return key.startsWith(FILLER);
}

export class NonceGaps {
  constructor(
    /** How long a nonce has to be missing before it is filled: at first, the node's count may be behind. */
    private readonly graceMs: number,
    private readonly deps: GapDeps,
  ) {}

  /**
   * Follows every act with a lower nonce, even a mined one: the process that should have sent it, or stored
   * that it is mined, may be dead. Fills each lower nonce that the chain has not used and that none of these
   * acts has.
   */
  async close(watch: WaitsBehind, mined: number): Promise<void> {
    const { clock, intents, address, follow } = this.deps;
    const { nonce: own = 0 } = watch.intent;
    const ahead = (await intents.listPending(address)).filter(({ nonce = own }) => nonce < own);
    for (const other of ahead) follow(other);
    const held = new Set(ahead.map(({ nonce }) => nonce));
    const holes = Array.from({ length: own - mined }, (_, past) => mined + past).filter((nonce) => !held.has(nonce));
    watch.gapAtMs = holes.length > 0 ? (watch.gapAtMs ?? clock.now()) : undefined;
    if (watch.gapAtMs === undefined || clock.now() - watch.gapAtMs < this.graceMs) return;
    const unmined = await intents.listMinedFrom(address, mined);
    for (const nonce of holes) {
      const holder = unmined.find((other) => other.nonce === nonce);
      if (holder) follow(await intents.reopen(holder.id));
      else await this.fill(nonce);
    }
  }

  /**
   * Uses up a nonce that no act holds, by a transaction without effect. Signing a waiting act again under it
   * could do that act twice.
   */
  private async fill(nonce: number): Promise<void> {
    const { address, intents, logger, follow, sign } = this.deps;
    try {
      const wanted = { account: address, key: `${FILLER}${nonce}`, to: address, data: '0x', valueWei: 0n };
      const intent = await intents.begin(wanted);
      const filler = intent.state === 'created' ? await sign(intent, nonce) : intent;
      if (!filler) return;
      logger.warn('Nonce is unused; filling it, so that later ones can be mined', { nonce });
      follow(filler);
    } catch (error) {
      // Without funds or without a node, the waiting act goes on waiting; its next look tries again.
      logger.warn('Nonce is unused and cannot be filled yet', { nonce }, error);
    }
  }
}
