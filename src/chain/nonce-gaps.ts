import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Intent, IntentStore } from './intents';

/** A signed act that can be mined only after those of lower nonces. */
export interface WaitsBehind {
  intent: Intent;
  /** Since when a lower nonce is held by nothing that is under way. */
  gapAtMs?: number | undefined;
}

interface GapDeps {
  address: Address;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  /** Has a transaction followed that ours must wait for. */
  help(intent: Intent): void;
  /** Signs and stores a new one under the nonce; undefined when another act took that meanwhile. */
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
    /** A gap is believed in only after so long: until then it is more likely that the node that counted is behind. */
    private readonly believeMs: number,
    private readonly deps: GapDeps,
  ) {}

  /**
   * Has every act before ours followed, also one that is mined already: the process that should have sent it, or noted that, may
   * be dead. What the chain waits for and none of them holds is a hole.
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

  /** Uses up a nonce that none of our acts holds, by an act that moves nothing. To sign a waiting act anew under it could double that act. */
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
      // An act that is signed waits for funds as it does for the node.
      logger.warn('Nonce was left out and cannot be used up yet', { nonce }, error);
    }
  }
}
