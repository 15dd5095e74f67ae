/** One deployment on anvil, with a store and with a wallet and sender for each role. */
import { type Emeth, openEmeth } from '../../src/chain/acts/emeth';
import { type Chain, openChain } from '../../src/chain/rpc/client';
import type { IntentStore } from '../../src/chain/sending/intent-store';
import { openSender, type Sender, type SenderOptions } from '../../src/chain/sending/sender';
import { openWallet, type Wallet } from '../../src/chain/sending/wallet';
import { systemClock } from '../../src/lib/clock';
import { type Logger, silentLogger } from '../../src/lib/logger';
import { devKeys } from '../../src/runner/anvil';
import { openStore, type Store } from '../../src/store/open';
import { type Escrow, openEscrow, type Role, roles } from './escrow';
import { openScratch } from './scratch';

/**
 * Far longer than a busy anvil takes from counting a nonce as used to serving its receipt: a shorter lag
 * could make the sender do an act twice.
 */
export const RECEIPT_LAG_MS = 500;

/** The contracts, a client of them, and a sender for each role that has a key: admin to challenger. */
export interface ChainAccounts extends AsyncDisposable {
  escrow: Escrow;
  chain: Chain;
  readonly store: Store;
  walletOf(role: Role): Promise<Wallet>;
  /** Opens a new sender, as after a restart; everything it must remember is in the store. */
  senderOf(
    role: Role,
    options?: SenderOptions,
    change?: { chain?: Chain; intents?: IntentStore; signal?: AbortSignal; logger?: Logger },
  ): Promise<Sender>;
  emethOf(role: Role): Promise<Emeth>;
  /** Ends the senders, and takes chain and store back to their beginning: far cheaper than new ones. */
  reset(): Promise<void>;
}

export async function openChainAccounts(): Promise<ChainAccounts> {
  const escrow = await openEscrow();
  const scratch = await openScratch();
  const endpoint = escrow.provider._getConnection().url;
  const chain = await openChain({ endpoint, core: escrow.core, token: escrow.token });
  let stores = 0;
  const openEmpty = () => {
    stores += 1;
    return openStore({ kind: 'sqlite', path: scratch.file(`queue-${stores}.sqlite`) });
  };
  let store = await openEmpty();
  let ending = new AbortController();
  const walletOf = (role: Role) => openWallet({ privateKey: devKeys[roles.indexOf(role)] ?? '' }, chain.chainId);
  const senderOf: ChainAccounts['senderOf'] = async (role, options = {}, change = {}) =>
    openSender(
      { pollMs: 10, receiptLagMs: RECEIPT_LAG_MS, ...options },
      {
        chain,
        signal: ending.signal,
        wallet: await walletOf(role),
        intents: store.intents,
        clock: systemClock,
        logger: silentLogger,
        ...change,
      },
    );
  return {
    escrow,
    chain,
    get store() {
      return store;
    },
    walletOf,
    senderOf,
    emethOf: async (role) => openEmeth(chain, await senderOf(role), await walletOf(role)),
    async reset() {
      ending.abort(new Error('over'));
      ending = new AbortController();
      await escrow.provider.send('evm_setAutomine', [true]);
      await escrow.provider.send('anvil_dropAllTransactions', []);
      await escrow.reset();
      await store[Symbol.asyncDispose]();
      store = await openEmpty();
    },
    async [Symbol.asyncDispose]() {
      ending.abort(new Error('over'));
      await store[Symbol.asyncDispose]();
      await chain[Symbol.asyncDispose]();
      await escrow[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}
