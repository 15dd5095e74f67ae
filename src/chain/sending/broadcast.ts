import { isError } from 'ethers';
import { describeError } from '../../lib/errors';
import { inTurn } from '../../lib/in-turn';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';

/** Sends signed bytes. Never throws: whether they were taken shows in the receipt. `key` names them for the log. */
export type Broadcast = (raw: string, key: string) => Promise<void>;

/** What nodes say when this version, or another one of the same nonce, has reached them already. */
const PROGRESS =
  /already ?known|already imported|already exists|known transaction|nonce (is )?too low|old ?nonce|replacement (transaction )?underpriced|replacement ?not ?allowed/i;

/** Sends one at a time, in the order asked for: a node may refuse a nonce before it knows the one below it. */
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
