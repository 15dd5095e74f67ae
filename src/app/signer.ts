/** An account that sends transactions, with the store that keeps them, for daemons and commands alike. */
import { type Emeth, openEmeth } from '../chain/acts/emeth';
import type { Chain } from '../chain/rpc/client';
import type { Finality } from '../chain/rpc/finality';
import { openSender, type Sender } from '../chain/sending/sender';
import { openWallet, type Wallet } from '../chain/sending/wallet';
import type { MasterConfig } from '../config/roles/master';
import { systemClock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { Claimant } from '../store/claimant';
import { openStore, type Store } from '../store/open';
import { makeDataDir } from './data-dir';
import { type KeySettings, keyOf } from './keys';
import { finalityOf, storeOptions } from './role-settings';
import { openTagMemory } from './tag-memory';

/** A key, what it may do on the contract, and where its transactions are kept until they are final. */
export interface Signer extends AsyncDisposable {
  wallet: Wallet;
  store: Store;
  sender: Sender;
  emeth: Emeth;
  /** The chain's, which the store remembers. */
  finality: Finality;
}

export interface SignerDeps {
  config: KeySettings & { confirmations?: number | undefined; maxFeePerGas: bigint };
  dataDir: string;
  /** The role's own database; default: SQLite in the data directory. */
  database: MasterConfig['external_db'];
  chain: Chain;
  logger: Logger;
  signal: AbortSignal;
  /** Under which a daemon claims jobs. */
  claimant?: Claimant | undefined;
}

/** Opens the account and its store. Throws `config/no-key`, `wallet/…` and `store/…`. */
export async function openSigner(deps: SignerDeps): Promise<Signer> {
  const { config, dataDir, database, chain, logger, signal, claimant } = deps;
  const wallet = await openWallet(keyOf(config, dataDir), chain.chainId);
  await makeDataDir(dataDir);
  const store = await openStore(storeOptions({ external_db: database }, dataDir), systemClock, claimant);
  await store.deployment.require(chain).catch(async (error) => {
    await store[Symbol.asyncDispose]();
    throw error;
  });
  const finality = { ...finalityOf(config, chain.chainId), memory: openTagMemory(store, chain.chainId) };
  const sender = openSender(
    { finality, maxFeePerGas: config.maxFeePerGas },
    { chain, wallet, intents: store.intents, clock: systemClock, logger, signal },
  );
  const emeth = openEmeth(chain, sender, wallet);
  return { wallet, store, sender, emeth, finality, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}
