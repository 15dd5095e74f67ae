/** Which configuration and data directory a command works with, and the signal that stops it. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadConfig, roleOfFile } from '../config/load';
import type { Role, RoleConfig } from '../config/schema';
import { AppError } from '../lib/errors';
import type { CommonOptions } from '../terminal/options';

export type StoppedError = { code: 'stopped'; signal: NodeJS.Signals };

/** A role's settings, and where it keeps its state. */
export interface RoleContext<R extends Role> {
  config: RoleConfig<R>;
  /** Absolute; holds all state of the role. */
  dataDir: string;
}

/** Any role's configuration, read as a requester's. The data directory is that role's own. */
export interface HomeContext extends RoleContext<'client'> {
  /** The database of that role's store; undefined for SQLite. Throws `config/…`. */
  database(): RoleConfig<'master'>['external_db'];
}

/** Reads and checks the role's configuration. Throws `config/…`. */
export function loadRole<R extends Role>(role: R, options: CommonOptions): RoleContext<R> {
  const path = options.config ?? defaultConfigPath(role);
  const config = loadConfig(role, { path, isRequired: options.config !== undefined, env: process.env });
  return { config, dataDir: resolve(options.dataDir ?? join('data', role)) };
}

/** Reads the configuration at hand, whichever role's it is, for a requester's command. Throws `config/…`. */
export function loadHome(options: CommonOptions): HomeContext {
  const config = options.config ?? defaultConfigPath('client');
  const role = roleOfFile(config);
  const home = loadRole('client', { ...options, dataDir: options.dataDir ?? join('data', role) });
  return {
    ...home,
    database: () => (role === 'master' ? loadRole('master', { ...options, config }).config.external_db : undefined),
  };
}

/** The roles whose configuration a role takes when it has none of its own. */
const substitutes: Partial<Record<Role, readonly Role[]>> = {
  client: ['master', 'worker', 'verifier'],
  board: ['client'],
};

/** Where the role's configuration is looked for; a requester's command takes what any role left there. */
export function defaultConfigPath(role: Role): string {
  const roles = [role, ...(substitutes[role] ?? [])];
  const paths = roles.map((name) => join('config', `${name}.json`));
  return paths.find((path) => existsSync(path)) ?? join('config', `${role}.json`);
}

/**
 * Aborts on the first SIGINT or SIGTERM, so that everything can be closed in order. The second one ends the
 * process at once, for operators who do not want to wait.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.kill(process.pid, 'SIGKILL');
    controller.abort(new AppError<StoppedError>({ code: 'stopped', signal: name }, `Stopped by ${name}.`));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return controller.signal;
}
