import { type Emeth, openEmeth } from '../../src/chain/acts/emeth';
import { type Chain, openChain } from '../../src/chain/rpc/client';
import type { IntentStore } from '../../src/chain/sending/intents';
import { openSender, type Sender, type SenderOptions } from '../../src/chain/sending/sender';
import { openWallet, type Wallet } from '../../src/chain/sending/wallet';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { devKeys } from '../../src/runner/anvil';
import { openStore, type Store } from '../../src/store/open';
import { type Escrow, openEscrow, type Role, roles } from './escrow';
import { openScratch } from './scratch';

/** Many times as long as a busy anvil knows a nonce to be used before it knows the receipt: within that, every act could be doubled. */
export const RECEIPT_LAG_MS = 500;

/** The contracts, our client of them, and a sender for each role that has a key: admin to challenger. */
export interface ChainAccounts extends AsyncDisposable {
  escrow: Escrow;
  chain: Chain;
  store: Store;
  walletOf(role: Role): Promise<Wallet>;
  /** A new sender, as after a restart; everything it must remember is in the store. */
  senderOf(
    role: Role,
    options?: SenderOptions,
    change?: { chain?: Chain; intents?: IntentStore; signal?: AbortSignal },
  ): Promise<Sender>;
  emethOf(role: Role): Promise<Emeth>;
}

export async function openChainAccounts(): Promise<ChainAccounts> {
  const escrow = await openEscrow();
  const scratch = await openScratch();
  const endpoint = escrow.provider._getConnection().url;
  const chain = await openChain({ endpoint, core: escrow.core, token: escrow.token });
  const store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
  const never = new AbortController().signal;
  const walletOf = (role: Role) => openWallet({ privateKey: devKeys[roles.indexOf(role)] ?? '' }, chain.chainId);
  const senderOf: ChainAccounts['senderOf'] = async (role, options = {}, change = {}) =>
    openSender(
      { pollMs: 10, receiptLagMs: RECEIPT_LAG_MS, ...options },
      {
        chain,
        signal: never,
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
    store,
    walletOf,
    senderOf,
    emethOf: async (role) => openEmeth(chain, await senderOf(role), await walletOf(role)),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await chain[Symbol.asyncDispose]();
      await escrow[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}
