/** The account of one command: whichever role's configuration is at hand, used as a requester's. */
import { type Chain, openChain } from '../chain/rpc/client';
import type { RoleConfig } from '../config/schema';
import { type Logger, openLogger } from '../lib/logger';
import type { CommonOptions, SendOptions } from '../terminal/options';
import { type HomeContext, loadHome, stopSignal } from './context';
import { Openings } from './openings';
import { chainOptions } from './role-settings';
import { openSigner, type Signer } from './signer';

/** Chain and configuration without an account, for commands that only read. */
export interface Reader extends AsyncDisposable {
  readonly config: RoleConfig<'client'>;
  readonly dataDir: string;
  readonly chain: Chain;
}

/** An account that acts on the contract for the length of one command. */
export interface Account extends Reader, Readonly<Pick<Signer, 'wallet' | 'emeth' | 'sender'>> {
  readonly logger: Logger;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Opens the configured chain. Throws `config/…` and `chain/…`. */
export async function openReader(options: CommonOptions): Promise<Reader> {
  return readerOf(loadHome(options));
}

/**
 * Opens the configured chain and account. Transactions are kept in the store of the role whose configuration
 * it is, so that a daemon of the same account and this command agree on nonces.
 */
export async function openAccount(options: SendOptions): Promise<Account> {
  await using openings = new Openings();
  const home = loadHome(options);
  const reader = openings.add(await readerOf(home));
  const logger = openCommandLogger(options);
  const signal = stopSignal();
  const { store, ...signer } = openings.add(
    await openSigner({ ...reader, config: withCap(reader.config, options), database: home.database(), logger, signal }),
  );
  for (const { key, attempts } of await store.intents.listPending(signer.sender.address)) {
    const fields = { key, hash: attempts.at(-1)?.hash };
    logger.warn('Earlier transaction of this account is signed and still counts', fields);
  }
  return { ...reader, ...signer, logger, signal, ...openings.release() };
}

/** Replaces the bound of the price per gas by the command's own, if there is one. */
function withCap(config: RoleConfig<'client'>, { maxFeePerGas }: SendOptions): RoleConfig<'client'> {
  return maxFeePerGas === undefined ? config : { ...config, maxFeePerGas };
}

/** A one-shot command's logger: only warnings, on stderr, unless more is asked for. */
export function openCommandLogger(options: CommonOptions): Logger {
  return openLogger({ level: options.logLevel ?? 'warn' });
}

async function readerOf({ config, dataDir }: HomeContext): Promise<Reader> {
  const chain = await openChain(chainOptions(config));
  return { config, dataDir, chain, [Symbol.asyncDispose]: () => chain[Symbol.asyncDispose]() };
}
