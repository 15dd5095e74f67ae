/**
 * Makes sure that the MySQL tests find a server program: MariaDB or MySQL from the distribution. Installs
 * MariaDB where no permission is needed (root on a Debian-like system).
 *
 *     npx ts-node scripts/test-database.ts
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findServer } from '../test/support/mariadb';

function main(): void {
  if (findServer()) return;
  const mayInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
  if (mayInstall) install();
  if (findServer()) return;
  process.stderr.write(
    'No MariaDB or MySQL server program was found; install one (Debian: apt-get install mariadb-server) and run the tests again.\n',
  );
  process.exitCode = 1;
}

function install(): void {
  process.stderr.write('Installing mariadb-server for the tests\n');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] };
  try {
    execFileSync('apt-get', ['update', '-qq'], options);
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'mariadb-server'], options);
  } catch {
    // `main` reports what is missing.
  }
}

main();
