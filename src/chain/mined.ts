import type { TransactionReceipt } from 'ethers';
import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Chain } from './client';
import type { Finality } from './finality';
import type { Attempt, Intent, IntentStore } from './intents';

interface MinedDeps {
  chain: Chain;
  address: Address;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
  /** The receipt of whichever version is mined. */
  findReceipt(attempts: readonly Attempt[]): Promise<TransactionReceipt | undefined>;
  /** Has a transaction followed that is under way again. */
  takeUp(intent: Intent): Promise<void>;
}

/**
 * Looks after what is mined until it is final. What a reorganisation has taken back is signed still, so the same bytes are sent
 * again, and the chain alone decides once more.
 */
export class MinedWatch {
  constructor(
    private readonly finality: Finality,
    private readonly deps: MinedDeps,
  ) {}

  /** Where a mined act stands now: `final`, `mined` still, or, taken back, `signed` again. */
  async look(intent: Intent): Promise<Intent['state']> {
    const { intents, logger, findReceipt } = this.deps;
    if (intent.state !== 'mined') return intent.state;
    // In this order: a block that is final when the receipt is asked for may not have been when the head was.
    const final = await this.finalNumber();
    const receipt = await findReceipt(intent.attempts);
    if (receipt?.status === 1) {
      if (receipt.blockNumber > final) return 'mined';
      await intents.markFinal(intent.id);
      return 'final';
    }
    logger.warn('Transaction was taken back by a reorganisation; sending it again', { key: intent.key });
    return (await intents.reopen(intent.id)).state;
  }

  /** Looks once at all of the account's acts that are mined and not final, and has those followed that were taken back. */
  async lookAtAll(): Promise<void> {
    const { intents, address, takeUp } = this.deps;
    for (const intent of await intents.listMined(address)) {
      if ((await this.look(intent)) === 'signed') void takeUp(await intents.get(intent.id));
    }
  }

  /** Looks every now and then until the signal aborts. */
  async run(everyMs: number): Promise<void> {
    const { clock, logger, signal } = this.deps;
    while (!signal.aborted) {
      try {
        await this.lookAtAll();
        await clock.sleep(everyMs, signal);
      } catch (error) {
        if (!signal.aborted) logger.debug('Mined transactions could not be looked at; trying again', {}, error);
        await clock.sleep(everyMs, signal).catch(() => undefined);
      }
    }
  }

  private async finalNumber(): Promise<number> {
    const { provider } = this.deps.chain;
    const { preferTag = false, confirmations } = this.finality;
    const tagged = preferTag ? await provider.getBlock('finalized').catch(() => null) : null;
    return tagged?.number ?? (await provider.getBlockNumber()) - confirmations;
  }
}
