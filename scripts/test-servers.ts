/**
 * Makes sure that the tests find the programs they start: MariaDB or MySQL, nginx, bubblewrap and an S3
 * service, from the distribution. Installs what is missing where no permission is needed (root on a
 * Debian-like system).
 *
 *     npx ts-node scripts/test-servers.ts
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findServer } from '../test/support/mariadb';
import { findNginx } from '../test/support/nginx';
import { findProgram } from '../test/support/server-programs';
import { findSwift } from '../test/support/swift';

/** Each program with the Debian package that brings it. */
const servers = [
  { name: 'MariaDB or MySQL', find: findServer, package: 'mariadb-server' },
  { name: 'nginx', find: findNginx, package: 'nginx' },
  { name: 'bubblewrap', find: () => findProgram('bwrap'), package: 'bubblewrap' },
  { name: 'OpenStack Swift', find: findSwift, package: 'python3-swift' },
];

function main(): void {
  const missing = () => servers.filter(({ find }) => !find());
  const mayInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
  if (mayInstall && missing().length > 0) install(missing().map((server) => server.package));
  for (const server of missing()) {
    process.stderr.write(
      `No program of ${server.name} was found; install one (Debian: apt-get install ${server.package}) and run the tests again.\n`,
    );
    process.exitCode = 1;
  }
}

function install(packages: string[]): void {
  process.stderr.write(`Installing ${packages.join(' and ')} for the tests\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] };
  try {
    execFileSync('apt-get', ['update', '-qq'], options);
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
  } catch {
    // `main` reports what is missing.
  }
}

main();
