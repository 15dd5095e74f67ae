/** What a daemon opens before its own work: settings and lock, then its chain, then its account. */
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { type Chain, openChain } from '../chain/rpc/client';
import type { Finality } from '../chain/rpc/finality';
import type { Role } from '../config/schema';
import { systemClock } from '../lib/clock';
import { errorCode } from '../lib/errors';
import { type Logger, openLogger } from '../lib/logger';
import { type DirLock, lockDataDir } from '../store/lock';
import type { CommonOptions } from '../terminal/options';
import { loadRole, type RoleContext, stopSignal } from './context';
import { makeDataDir } from './data-dir';
import { Openings } from './openings';
import { chainOptions, finalityOf } from './role-settings';
import { openSigner, type Signer } from './signer';

/** A running daemon's settings, and its data directory, which no other process may use meanwhile. */
export interface OpenRole<R extends Role> extends RoleContext<R>, AsyncDisposable {
  logger: Logger;
  /** What keeps other processes out of the data directory; for `untilAllEnd`. */
  lock: DirLock;
  /** Stops the whole process; for `untilAllEnd`. */
  stop: AbortController;
  /** Aborts on Ctrl-C and on `stop`. */
  signal: AbortSignal;
}

/** The roles that read the chain. */
type FollowingRole = 'master' | 'verifier' | 'board' | 'storage';

/** A daemon that reads the chain. */
export interface ChainRole<R extends Role> extends OpenRole<R> {
  chain: Chain;
  finality: Finality;
}

const CHAIN_RETRY_MS = 2000;

/** Reads the role's configuration and takes its data directory. Throws `config/…` and `store/…`. */
export async function openRole<R extends Role>(role: R, options: CommonOptions): Promise<OpenRole<R>> {
  const context = loadRole(role, options);
  const logger = await openRoleLogger(role, context, options);
  const stop = new AbortController();
  const signal = AbortSignal.any([stopSignal(), stop.signal]);
  // Each loop of a role waits for it, and a master has more of them than Node takes for a leak.
  setMaxListeners(0, signal);
  const lock = await lockDataDir(context.dataDir, systemClock);
  return { ...context, logger, lock, stop, signal, [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose]() };
}

/** As `openRole`, and connects to the configured chain. */
export async function openChainRole<R extends FollowingRole>(name: R, options: CommonOptions): Promise<ChainRole<R>> {
  await using openings = new Openings();
  const role = openings.add(await openRole(name, options));
  const chain = openings.add(await waitForChain(role));
  return { ...role, chain, finality: finalityOf(role.config, chain.chainId), ...openings.release() };
}

/** Waits for a chain that nobody answers for; any other trouble with it is the configuration's. */
async function waitForChain({ config, logger, signal }: OpenRole<FollowingRole>): Promise<Chain> {
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await openChain(chainOptions(config), { logger });
    } catch (error) {
      if (errorCode(error) !== 'chain/unreachable') throw error;
      if (isFirst) logger.warn('The chain cannot be reached; waiting for it', {}, error);
      await systemClock.sleep(CHAIN_RETRY_MS, signal);
    }
  }
}

/**
 * As `openChainRole`, with the role's account; resumes transactions that an earlier process left unfinished.
 */
export async function openSigningRole<R extends 'master' | 'verifier'>(
  name: R,
  options: CommonOptions,
): Promise<ChainRole<R> & Signer> {
  await using openings = new Openings();
  const role = openings.add(await openChainRole(name, options));
  const { external_db } = { external_db: undefined, ...role.config };
  const signer = openings.add(await openSigner({ ...role, database: external_db, claimant: role.lock.claimant }));
  await signer.sender.resume();
  return { ...role, ...signer, ...openings.release() };
}

/** A daemon's logger: lines for people on stderr, JSON lines in `<data-dir>/logs/<role>.log`. */
async function openRoleLogger(
  role: Role,
  { config, dataDir }: RoleContext<Role>,
  options: CommonOptions,
): Promise<Logger> {
  await makeDataDir(dataDir, 'logs');
  const level = options.logLevel ?? config.logLevel;
  return openLogger({ level, file: join(dataDir, 'logs', `${role}.log`), fields: { role } });
}
