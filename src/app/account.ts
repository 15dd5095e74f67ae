import { join } from 'node:path';
import { type Emeth, openEmeth } from '../chain/acts/emeth';
import { type Chain, openChain } from '../chain/rpc/client';
import { openSender, type Sender } from '../chain/sending/sender';
import { openWallet, type Wallet } from '../chain/sending/wallet';
import { roleOfFile } from '../config/load';
import type { Role, RoleConfig } from '../config/schema';
import { systemClock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import { openStore } from '../store/open';
import type { CommonOptions } from '../terminal/options';
import { defaultConfigPath, loadRole, openCommandLogger, stopSignal } from './context';
import { keyOf } from './keys';
import { storeOptions } from './open-store';
import { finalityOf } from './role-settings';

/** An account that acts on the contract for the length of one command. */
export interface Account extends AsyncDisposable {
  readonly config: RoleConfig<'client'>;
  readonly dataDir: string;
  readonly chain: Chain;
  readonly wallet: Wallet;
  readonly emeth: Emeth;
  readonly sender: Sender;
  readonly logger: Logger;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

/**
 * Opens chain and account of whatever configuration is at hand. Transactions are kept in that role's own store, so that a
 * daemon of the same account agrees with us on nonces.
 */
export async function openAccount(options: CommonOptions): Promise<Account> {
  const client = await openReader(options);
  const { chain, config, dataDir } = client;
  await using stack = cleanup(chain);
  const wallet = await openWallet(keyOf(config, dataDir), chain.chainId);
  const store = await openStore(storeOptions({ external_db: await databaseOf(options) }, dataDir));
  const logger = await openCommandLogger(options);
  const signal = stopSignal();
  const finality = finalityOf(config, chain.chainId);
  const sender = openSender(
    { finality },
    { chain, wallet, intents: store.intents, clock: systemClock, logger, signal },
  );
  stack.keep();
  return {
    ...client,
    wallet,
    emeth: openEmeth(chain, sender, wallet),
    sender,
    logger,
    signal,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await chain[Symbol.asyncDispose]();
    },
  };
}

/** Chain and configuration without an account, for commands that only read. */
export async function openReader(
  options: CommonOptions,
): Promise<AsyncDisposable & Pick<Account, 'config' | 'dataDir' | 'chain'>> {
  const { config, dataDir } = await loadRole('client', withHome(options, await homeRole(options)));
  const { endpoint, chainId, emethContractAddress: core, tokenContractAddress: token } = config;
  const chain = await openChain({ endpoint, chainId, core, token });
  return { config, dataDir, chain, [Symbol.asyncDispose]: () => chain[Symbol.asyncDispose]() };
}

async function homeRole(options: CommonOptions): Promise<Role> {
  return roleOfFile(options.config ?? defaultConfigPath('client'));
}

function withHome(options: CommonOptions, role: Role): CommonOptions {
  return { ...options, dataDir: options.dataDir ?? join('data', role) };
}

async function databaseOf(options: CommonOptions): Promise<RoleConfig<'master'>['external_db']> {
  if ((await homeRole(options)) !== 'master') return undefined;
  return (await loadRole('master', { ...options, config: options.config ?? defaultConfigPath('client') })).config
    .external_db;
}

/** Closes what was opened when a later step of opening throws. */
function cleanup(opened: AsyncDisposable): AsyncDisposable & { keep(): void } {
  let isKept = false;
  return {
    keep() {
      isKept = true;
    },
    async [Symbol.asyncDispose]() {
      if (!isKept) await opened[Symbol.asyncDispose]();
    },
  };
}
