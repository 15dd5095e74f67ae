import type { TransactionReceipt } from 'ethers';
import type { Address } from '../../domain/ids';
import type { Attempt, Intent } from '../../domain/intent';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import type { Finality } from '../rpc/finality';
import type { IntentStore } from './intents';

interface MinedDeps {
  chain: Chain;
  address: Address;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
  /** The receipt of whichever version is mined. */
  findReceipt(attempts: readonly Attempt[]): Promise<TransactionReceipt | undefined>;
  /** Sees a transaction through that a reorganisation has put under way again. */
  takeUp(intent: Intent): Promise<void>;
}

/**
 * Looks after mined transactions until they are final. One that a reorganisation takes out of the chain goes back to `signed`, and its
 * stored bytes are sent again.
 */
export class MinedWatch {
  constructor(
    private readonly finality: Finality,
    private readonly deps: MinedDeps,
  ) {}

  /** The state of a mined act by the chain: `final`, still `mined`, or `signed` again where a reorganisation has removed it. */
  async look(intent: Intent): Promise<Intent['state']> {
    const { intents, logger, findReceipt } = this.deps;
    if (intent.state !== 'mined') return intent.state;
    // In this order: were the receipt read first, a reorganisation could remove it before another block of its height became final.
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

  /** Looks once at each of the account's acts that are mined and not final, and sees to those that were removed. */
  async lookAtAll(): Promise<void> {
    const { intents, address, takeUp } = this.deps;
    for (const intent of await intents.listMined(address)) {
      if ((await this.look(intent)) === 'signed') void takeUp(await intents.get(intent.id));
    }
  }

  /** Does `lookAtAll` every so many milliseconds until the signal aborts. */
  async run(everyMs: number): Promise<void> {
    const { clock, logger, signal } = this.deps;
    while (!signal.aborted) {
      await this.lookAtAll().catch((error: unknown) => {
        if (!signal.aborted) logger.debug('Mined transactions could not be looked at; trying again', {}, error);
      });
      // Rejects only when the signal aborts, which ends the loop.
      await clock.sleep(everyMs, signal).catch(() => undefined);
    }
  }

  private async finalNumber(): Promise<number> {
    const { provider } = this.deps.chain;
    const { preferTag = false, confirmations } = this.finality;
    const tagged = preferTag ? await provider.getBlock('finalized').catch(() => null) : null;
    return tagged?.number ?? (await provider.getBlockNumber()) - confirmations;
  }
}
