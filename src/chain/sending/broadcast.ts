/** Sends signed bytes to the nodes, in order. Errors are only logged: the chain alone decides the outcome. */
import { isError } from 'ethers';
import { describeError } from '../../lib/errors';
import { inTurn } from '../../lib/in-turn';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';

/**
 * Sends signed bytes. Never throws: the receipt shows whether they were accepted. `key` names them in the
 * log.
 */
export type Broadcast = (raw: string, key: string) => Promise<void>;

/** Errors which mean that the node already has this version, or another one with the same nonce. */
const PROGRESS =
  /already ?known|already imported|already exists|known transaction|nonce (is )?too low|old ?nonce|replacement (transaction )?underpriced|replacement ?not ?allowed/i;

/**
 * Opens a broadcast that sends one transaction at a time, in order: a node may refuse a nonce before it knows
 * the one below.
 */
export function openBroadcast({ provider }: Pick<Chain, 'provider'>, logger: Logger): Broadcast {
  const inOrder = inTurn();
  return async (raw, key) => {
    try {
      await inOrder(() => provider.send('eth_sendRawTransaction', [raw]));
    } catch (error) {
      const isProgress =
        isError(error, 'NONCE_EXPIRED') ||
        isError(error, 'REPLACEMENT_UNDERPRICED') ||
        PROGRESS.test(describeError(error));
      logger[isProgress ? 'debug' : 'warn']('Broadcast was answered with an error', { key }, error);
    }
  };
}
