/** Whether a file with a secret can be read by others. */
import { realpathSync, statSync } from 'node:fs';

/** Where container platforms mount secrets, which only the container's own processes reach. */
const MOUNTS = /^\/(var\/)?run\/secrets\//;

/**
 * Returns the mode of a file that others on this machine can read or change, as `0644`; undefined for one
 * that is private. Follows links, as mounted secrets are links. Throws when there is no such file. Windows
 * has no such modes.
 */
export function exposedMode(path: string): string | undefined {
  if (process.platform === 'win32') return undefined;
  const { mode, uid } = statSync(path);
  const isPrivate = isPrivateMode(mode & 0o777, { isOwn: uid === process.getuid?.(), path: realpathSync(path) });
  return isPrivate ? undefined : (mode & 0o777).toString(8).padStart(4, '0');
}

/**
 * Decides by the mode. Of a file of somebody else's that this process reads by its group, as Kubernetes gives
 * out secrets, the group may be the way; under `/run/secrets` everybody may read, as Docker has it.
 */
export function isPrivateMode(mode: number, { isOwn, path }: { isOwn: boolean; path: string }): boolean {
  const allowed = MOUNTS.test(path) ? 0o744 : isOwn ? 0o700 : 0o740;
  return (mode & ~allowed) === 0;
}
