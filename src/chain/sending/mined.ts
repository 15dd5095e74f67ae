/** Watches mined transactions until they are final, and sends again those that a reorganisation removes. */
import type { TransactionReceipt } from 'ethers';
import type { Address } from '../../domain/ids';
import type { Attempt, Intent } from '../../domain/intent';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import { type Finality, FinalityUnknown, finalNumber } from '../rpc/finality';
import type { IntentStore } from './intent-store';

interface MinedDeps {
  chain: Pick<Chain, 'provider' | 'endpoints'>;
  address: Address;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
  /** Follows a transaction that is pending again after a reorganisation. */
  takeUp(intent: Intent): Promise<void>;
}

export class MinedWatch {
  /** The operator knows that nothing can become final now. */
  private isTold = false;

  constructor(
    private readonly finality: Finality,
    private readonly deps: MinedDeps,
  ) {}

  /**
   * Returns the state of a mined act on chain: `final`, still `mined`, or `signed` again after a
   * reorganisation.
   */
  async look(intent: Intent): Promise<Intent['state']> {
    const { chain, intents, logger } = this.deps;
    if (intent.state !== 'mined') return intent.state;
    // In this order: if the receipt were read first, a reorganisation could remove it before another block of
    // its height is final.
    const final = await this.finalNumber();
    const receipt = await findReceipt(chain, intent.attempts);
    if (receipt?.status === 1) {
      if (receipt.blockNumber > final) return 'mined';
      await intents.markFinal(intent.id);
      return 'final';
    }
    logger.warn('Transaction was removed by a reorganisation; sending it again', { key: intent.key });
    return (await intents.reopen(intent.id)).state;
  }

  /**
   * Looks once at each of the account's acts that are mined and not final; takes up those that were removed.
   */
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
        if (!signal.aborted) logger.debug('Mined transactions could not be checked; trying again', {}, error);
      });
      // Rejects only when the signal aborts, which ends the loop.
      await clock.sleep(everyMs, signal).catch(() => undefined);
    }
  }

  private async finalNumber(): Promise<number> {
    const { chain, logger } = this.deps;
    try {
      const final = await finalNumber(this.finality, chain.endpoints, () => chain.provider.getBlockNumber());
      this.isTold = false;
      return final;
    } catch (error) {
      if (error instanceof FinalityUnknown && !this.isTold) {
        logger.warn('Mined transactions cannot become final now; waiting', {}, error);
        this.isTold = true;
      }
      throw error;
    }
  }
}

/**
 * Returns the receipt of whichever version is mined. Throws when the node gives no answer: mistaking that for
 * "not mined" could do the act twice.
 */
export async function findReceipt(
  { provider }: Pick<Chain, 'provider'>,
  attempts: readonly Attempt[],
): Promise<TransactionReceipt | undefined> {
  for (const { hash } of attempts) {
    const receipt = await provider.getTransactionReceipt(hash);
    if (receipt) return receipt;
  }
  return undefined;
}
