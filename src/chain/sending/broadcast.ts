/** Sends signed bytes to the nodes, in order. Refusals are only told: the chain alone decides the outcome. */
import { isError } from 'ethers';
import { describeError } from '../../lib/errors';
import { inTurn } from '../../lib/in-turn';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import { nodeWords } from './revert';

/**
 * Sends signed bytes. Never throws: the receipt shows whether they were accepted. Returns the node's words
 * when it refuses them. `key` names them in the log.
 */
export type Broadcast = (raw: string, key: string) => Promise<string | undefined>;

/** Errors which mean that the node already has this version, or another one with the same nonce. */
const PROGRESS =
  /already ?known|already imported|already exists|known transaction|nonce (is )?too low|old ?nonce|replacement (transaction )?underpriced|replacement ?not ?allowed/i;

/** What nodes refuse, in plain words, and what to do. */
const refusals: readonly (readonly [RegExp, { message: string; remedy: string }])[] = [
  [
    /base ?fee|underpriced|fee ?too ?low|tip cap|gas price.*(low|minimum)/i,
    {
      message: 'Node finds the fee of the transaction too low',
      remedy: 'None: the fee is raised as far as maxFeePerGas allows.',
    },
  ],
  [
    /insufficient funds|insufficient balance/i,
    {
      message: 'Node says that the account has too little ETH for the transaction',
      remedy: 'Send it some; the transaction then goes on by itself.',
    },
  ],
  [
    /exceeds the configured cap/i,
    {
      message: 'Node refuses transactions that may cost this much',
      remedy: 'Raise the limit of the node (geth: --rpc.txfeecap), use another one, or lower maxFeePerGas.',
    },
  ],
  [
    /gas limit|exceeds block gas/i,
    {
      message: 'Node refuses the gas limit of the transaction',
      remedy: 'Use a chain with larger blocks.',
    },
  ],
];
const otherRefusal = {
  message: 'Transaction cannot be sent now; it is sent again until a node takes it',
  remedy: 'See what the node says, or use another one.',
};

/**
 * Opens a broadcast that sends one transaction at a time, in order: a node may refuse a nonce before it knows
 * the one below. The same refusal of an act is told once.
 */
export function openBroadcast({ provider }: Pick<Chain, 'provider'>, logger: Logger): Broadcast {
  const inOrder = inTurn();
  const told = new Map<string, string>();
  return async (raw, key) => {
    try {
      await inOrder(() => provider.send('eth_sendRawTransaction', [raw]));
      told.delete(key);
      return undefined;
    } catch (error) {
      const words = nodeWords(error);
      const said = words ?? describeError(error);
      const isProgress =
        isError(error, 'NONCE_EXPIRED') || isError(error, 'REPLACEMENT_UNDERPRICED') || PROGRESS.test(said);
      if (isProgress) return undefined;
      const { message, remedy } = refusals.find(([pattern]) => pattern.test(said))?.[1] ?? otherRefusal;
      if (told.get(key) !== message) logger.warn(message, { key, node: said, remedy });
      told.set(key, message);
      return words;
    }
  };
}
