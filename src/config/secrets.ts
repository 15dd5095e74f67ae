/** Files with secrets must be private. */
import { AppError } from '../lib/errors';
import { exposedMode } from '../lib/private-file';
import type { ConfigError } from './problems';

/** Throws `config/exposed-secret` when others may read or write the file. */
export function assertPrivate(path: string, what: string): void {
  const mode = modeOf(path);
  if (mode === undefined) return;
  throw new AppError<ConfigError>(
    { code: 'config/exposed-secret', path, mode },
    `${what} ${path} has mode ${mode}, so others on this machine can read it; run: chmod 600 ${path}`,
  );
}

function modeOf(path: string): string | undefined {
  try {
    return exposedMode(path);
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
