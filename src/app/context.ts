import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadConfig } from '../config/load';
import type { Role, RoleConfig } from '../config/schema';
import { AppError } from '../lib/errors';
import { type Logger, openLogger } from '../lib/logger';
import type { CommonOptions } from '../terminal/options';

export type StoppedError = { code: 'stopped'; signal: NodeJS.Signals };

/** What a command knows of its role once the configuration is read. */
export interface RoleContext<R extends Role> {
  config: RoleConfig<R>;
  /** Absolute; everything the role keeps lies in it. */
  dataDir: string;
}

/** Reads and checks the role's configuration. Throws `config/…`. */
export async function loadRole<R extends Role>(role: R, options: CommonOptions): Promise<RoleContext<R>> {
  const path = options.config ?? defaultConfigPath(role);
  const config = loadConfig(role, { path, isRequired: options.config !== undefined, env: process.env });
  return { config, dataDir: resolve(options.dataDir ?? join('data', role)) };
}

/** Whose configuration a role takes when it has none of its own. */
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

/** A daemon's logger: people's lines on stderr, JSON lines in `<data-dir>/logs/<role>.log`. */
export async function openRoleLogger(
  role: Role,
  { config, dataDir }: RoleContext<Role>,
  options: CommonOptions,
): Promise<Logger> {
  await mkdir(join(dataDir, 'logs'), { recursive: true });
  const level = options.logLevel ?? config.logLevel;
  return openLogger({ level, file: join(dataDir, 'logs', `${role}.log`), fields: { role } });
}

/** A one-shot command's logger: only warnings, on stderr, unless more is asked for. */
export async function openCommandLogger(options: CommonOptions): Promise<Logger> {
  return openLogger({ level: options.logLevel ?? 'warn' });
}

/**
 * Aborts on the first SIGINT or SIGTERM, so that everything can be closed in order. The second one ends the process at once,
 * for whoever does not want to wait.
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
