/** The forge binary from npm. */
import { join } from 'node:path';

/** The forge binary that npm installed for this platform. */
export function findForge(): string {
  const cpu = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const name = `@foundry-rs/forge-${process.platform}-${cpu}/package.json`;
  return join(
    require.resolve(name, { paths: [require.resolve('@foundry-rs/forge/package.json')] }),
    '..',
    'bin',
    'forge',
  );
}
