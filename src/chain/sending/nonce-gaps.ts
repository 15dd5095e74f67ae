import type { Address } from '../../domain/ids';
import type { Intent } from '../../domain/intent';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import type { IntentStore } from './intents';

/** A signed act that can be mined only after those of lower nonces. */
export interface WaitsBehind {
  intent: Intent;
  /** Since when a lower nonce is missing: the chain waits for it, and none of our acts under way has it. */
  gapAtMs?: number | undefined;
}

interface GapDeps {
  address: Address;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  /** Sees a transaction through that ours must wait for. */
  help(intent: Intent): void;
  /** Signs and stores the intent under the nonce; undefined when another act has taken that meanwhile. */
  sign(intent: Intent, nonce: number): Promise<Intent | undefined>;
}

const FILLER = 'nonce:';

/** An act that moves nothing and is there for its nonce. */
export function isFiller({ key }: Intent): boolean {
  return key.startsWith(FILLER);
}

/** Sees to it that no signed act waits for ever behind a nonce that nobody sends. */
export class NonceGaps {
  constructor(
    /** How long a nonce has to be missing before it is used up: until then, most likely the node that counted is behind. */
    private readonly believeMs: number,
    private readonly deps: GapDeps,
  ) {}

  /**
   * Sees every act with a lower nonce through, also one that is mined already: the process that should have sent it, or noted that
   * it is mined, may be dead. A lower nonce that the chain has not used and that none of these acts has is a hole, and is closed.
   */
  async close(watch: WaitsBehind, mined: number): Promise<void> {
    const { clock, intents, address, help } = this.deps;
    const { nonce: ours = 0 } = watch.intent;
    const ahead = (await intents.listPending(address)).filter(({ nonce = ours }) => nonce < ours);
    for (const other of ahead) help(other);
    const held = new Set(ahead.map(({ nonce }) => nonce));
    const holes = Array.from({ length: ours - mined }, (_, past) => mined + past).filter((nonce) => !held.has(nonce));
    watch.gapAtMs = holes.length > 0 ? (watch.gapAtMs ?? clock.now()) : undefined;
    if (watch.gapAtMs === undefined || clock.now() - watch.gapAtMs < this.believeMs) return;
    const unmined = await intents.listMinedFrom(address, mined);
    for (const nonce of holes) {
      const holder = unmined.find((other) => other.nonce === nonce);
      if (holder) help(await intents.reopen(holder.id));
      else await this.fill(nonce);
    }
  }

  /** Uses up a nonce that none of our acts holds, by one that moves nothing. A waiting act signed anew under it could be done twice. */
  private async fill(nonce: number): Promise<void> {
    const { address, intents, logger, help, sign } = this.deps;
    try {
      const wanted = { account: address, key: `${FILLER}${nonce}`, to: address, data: '0x', valueWei: 0n };
      const intent = await intents.begin(wanted);
      const filler = intent.state === 'created' ? await sign(intent, nonce) : intent;
      if (!filler) return;
      logger.warn('Nonce was left out; using it up, so that later ones can be mined', { nonce });
      help(filler);
    } catch (error) {
      // Without funds, or without a node, the act that waits goes on waiting; its next look tries this again.
      logger.warn('Nonce was left out and cannot be used up yet', { nonce }, error);
    }
  }
}
