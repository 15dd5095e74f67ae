/** A throw-away MariaDB or MySQL server for tests. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { freePort } from '../../src/lib/free-port';
import type { StoreOptions } from '../../src/store/open';
import { fastDir } from './scratch';
import { findProgram, startProgram } from './server-programs';

export type MysqlOptions = Extract<StoreOptions, { kind: 'mysql' }>;

/** A throw-away database server on loopback. */
export interface TestServer extends AsyncDisposable {
  /** A fresh, empty database, with a user that needs its password. */
  createDatabase(): Promise<MysqlOptions>;
}

const USER = 'emeth';
const PASSWORD = 'only for tests';
const START_MS = 60_000;

/** The server program of this machine; undefined when there is none. */
export function findServer(): string | undefined {
  return findProgram('mariadbd') ?? findProgram('mysqld');
}

/**
 * Starts a server in a temporary directory, with further options. Throws, rather than skips, where there is
 * none to start.
 */
export async function startMariadb(options: readonly string[] = []): Promise<TestServer> {
  const program = findServer();
  if (!program)
    throw new Error('No MariaDB or MySQL server program was found; run: npx ts-node scripts/test-servers.ts');
  const dir = await mkdtemp(join(fastDir(), 'emeth-mariadb-'));
  const dataDir = join(dir, 'data');
  const temporaryDir = join(dir, 'tmp');
  await mkdir(temporaryDir);
  const asUser = userInfo().username === 'root' ? ['--user=root'] : [];
  initialise(program, dataDir, temporaryDir, asUser);
  const port = await freePort();
  const args = [
    '--no-defaults',
    ...asUser,
    `--datadir=${dataDir}`,
    // A server that starts deletes all temporary tables it finds, those of its neighbours too.
    `--tmpdir=${temporaryDir}`,
    `--socket=${join(dir, 'socket')}`,
    `--pid-file=${join(dir, 'pid')}`,
    `--log-error=${join(dir, 'log')}`,
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    '--innodb-buffer-pool-size=32M',
    ...options,
  ];
  const server = startProgram(program, args, dir);
  const ssl = options.some((option) => option.startsWith('--ssl')) ? { ssl: { rejectUnauthorized: false } } : {};
  const root = { host: '127.0.0.1', port, user: 'root', password: '', ...ssl };
  try {
    await waitUntilReady(root);
  } catch (error) {
    const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '');
    await server[Symbol.asyncDispose]();
    throw new Error(`The database server did not start; its log ends: ${log.slice(-1000)}`, { cause: error });
  }
  return {
    async createDatabase() {
      const database = `emeth_${randomBytes(6).toString('hex')}`;
      const connection = await createConnection(root);
      await connection.query(`create database ${database}`);
      await connection.query(`create user if not exists '${USER}'@'%' identified by '${PASSWORD}'`);
      await connection.query(`grant all on ${database}.* to '${USER}'@'%'`);
      await connection.end();
      return { kind: 'mysql', host: '127.0.0.1', port, user: USER, password: PASSWORD, database };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function initialise(program: string, dataDir: string, temporaryDir: string, asUser: string[]): void {
  // What it starts deletes temporary tables too; its errors belong to the message of a failure.
  const options = { env: { ...process.env, TMPDIR: temporaryDir }, stdio: 'pipe' } as const;
  const installer = findProgram('mariadb-install-db') ?? findProgram('mysql_install_db');
  if (installer && program.includes('mariadbd')) {
    const args = [
      '--no-defaults',
      `--datadir=${dataDir}`,
      ...asUser,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
    ];
    execFileSync(installer, args, options);
  } else {
    const args = ['--no-defaults', '--initialize-insecure', `--datadir=${dataDir}`, ...asUser];
    execFileSync(program, args, options);
  }
}

async function waitUntilReady(root: { host: string; port: number; user: string; password: string }): Promise<void> {
  for (const until = Date.now() + START_MS; ; ) {
    try {
      const connection = await createConnection(root);
      return await connection.end();
    } catch (error) {
      if (Date.now() > until) throw error;
      await delay(100);
    }
  }
}
