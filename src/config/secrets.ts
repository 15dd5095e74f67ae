/** Files with secrets must be private. */
import { statSync } from 'node:fs';
import { AppError } from '../lib/errors';
import type { ConfigError } from './problems';

/**
 * Throws `config/exposed-secret` when group or others may read or write the file. Windows has no such
 * permissions.
 */
export function assertPrivate(path: string, what: string): void {
  if (process.platform === 'win32') return;
  const mode = modeOf(path);
  if ((mode & 0o077) === 0) return;
  const shown = mode.toString(8).padStart(4, '0');
  throw new AppError<ConfigError>(
    { code: 'config/exposed-secret', path, mode: shown },
    `${what} ${path} has mode ${shown}, so others on this machine can read it; run: chmod 600 ${path}`,
  );
}

function modeOf(path: string): number {
  try {
    return statSync(path).mode & 0o777;
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): AppError<ConfigError> {
  return new AppError<ConfigError>(
    { code: 'config/unreadable', path },
    `${path} cannot be read; check the path and its permissions.`,
    {
      cause,
    },
  );
}
