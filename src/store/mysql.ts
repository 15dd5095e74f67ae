/** MySQL and MariaDB as Kysely's dialect: connection, session, encryption, and refusals in words. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type Dialect, MysqlDialect } from 'kysely';
import type { PoolOptions } from 'mysql2';
import { AppError, describeError, errorCode } from '../lib/errors';

export interface MysqlOptions {
  kind: 'mysql';
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** `insecure`: encrypted, but the certificate is not checked. Default `off`. */
  tls?: 'off' | 'on' | 'insecure' | undefined;
  /** Certificates that are trusted instead of the system's, as a PEM file. */
  caFile?: string | undefined;
}

export type MysqlError =
  | { code: 'store/unreachable'; where: string }
  | { code: 'store/access-denied'; where: string }
  | { code: 'store/no-database'; where: string }
  | { code: 'store/tls-required'; where: string }
  | { code: 'store/no-tls'; where: string }
  | { code: 'store/untrusted-certificate'; where: string }
  | { code: 'store/wrong-host'; where: string }
  | { code: 'store/no-host-name'; host: string }
  | { code: 'store/no-ca-file'; path: string };

/**
 * How long a transaction may stand still: then the server ends it, so that a process which was halted, or is
 * cut off, does not keep its locks. Less than what other masters wait for a claim.
 */
const HALTED_S = 10;
/** Connections that wait for work are closed sooner, so that the server never closes one of those. */
const IDLE_MS = 5000;
const CONNECTIONS = 8;

/**
 * Every connection gets the settings that the store was written for, whatever the server's own are: managed
 * servers differ in all of them.
 */
const SESSION = [
  `set session autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', wait_timeout = ${HALTED_S}`,
  'set session transaction isolation level read committed',
];

export async function mysqlDialect(options: MysqlOptions): Promise<Dialect> {
  const { host, port, user, password, database } = options;
  // Loaded on demand: it costs every command of an SQLite user 0.14 s of CPU.
  const { createPool } = await import('mysql2');
  const pool = createPool({
    ...{ host, port, user, password, database },
    ...(await encryption(options)),
    ...{ gracefulEnd: true, connectionLimit: CONNECTIONS, maxIdle: CONNECTIONS - 1, idleTimeout: IDLE_MS },
    connectTimeout: 10_000,
    charset: 'utf8mb4_bin',
  });
  // A connection runs its statements in order, so these come before any other.
  pool.on('connection', (connection) => {
    for (const statement of SESSION) {
      connection.query(statement, (error) => {
        if (error) connection.destroy();
      });
    }
  });
  return new MysqlDialect({ pool });
}

async function encryption({ host, tls = 'off', caFile }: MysqlOptions): Promise<Pick<PoolOptions, 'ssl'>> {
  if (tls === 'off') return {};
  if (tls === 'insecure') return { ssl: { rejectUnauthorized: false } };
  // The driver would look for "localhost" in the certificate instead.
  if (isIP(host)) {
    throw new AppError<MysqlError>(
      { code: 'store/no-host-name', host },
      `A certificate is checked for a name; use the name of ${host} as host in external_db.`,
    );
  }
  return { ssl: { verifyIdentity: true, ...(caFile === undefined ? {} : { ca: await readCertificates(caFile) }) } };
}

async function readCertificates(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new AppError<MysqlError>(
      { code: 'store/no-ca-file', path },
      `The certificates ${path} cannot be read (${errorCode(cause)}); correct caFile in external_db.`,
      { cause },
    );
  }
}

/** What went wrong with a server, by its own code or that of the socket. */
const causes: readonly [RegExp, Extract<MysqlError, { where: string }>['code'], (where: string) => string][] = [
  [
    /^(ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH)$/,
    'store/unreachable',
    (where) => `The database ${where} cannot be reached; start it, or correct host and port in external_db.`,
  ],
  [
    /^ER_(DBACCESS|ACCESS)_DENIED_ERROR$/,
    'store/access-denied',
    (where) => `The database refuses ${where}; correct user and password in external_db.`,
  ],
  [
    /^ER_BAD_DB_ERROR$/,
    'store/no-database',
    (where) => `There is no database at ${where}; create it with CREATE DATABASE.`,
  ],
  [
    /^ER_SECURE_TRANSPORT_REQUIRED$/,
    'store/tls-required',
    (where) => `The database ${where} demands TLS; set tls in external_db to "on".`,
  ],
  [
    /^HANDSHAKE_NO_SSL_SUPPORT$/,
    'store/no-tls',
    (where) => `The database ${where} has no TLS; set it up there, or set tls in external_db to "off".`,
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    'store/wrong-host',
    (where) =>
      `The certificate of ${where} is for another host; use the name it is made for as host in external_db, or correct the certificate.`,
  ],
  [
    /^(DEPTH_ZERO_|SELF_SIGNED|UNABLE_TO_|CERT_)/,
    'store/untrusted-certificate',
    (where) =>
      `The certificate of ${where} cannot be trusted; name its authority's certificate as caFile in external_db, or correct the certificate.`,
  ],
];

/** Returns the error in words; undefined when nothing is known of it. */
export async function explainMysql(
  error: unknown,
  options: MysqlOptions,
  where: string,
): Promise<AppError<MysqlError> | undefined> {
  const found = causeOf(error);
  const isHidden = found === 'ER_ACCESS_DENIED_ERROR' && (await worksByTls(options));
  const code = isHidden ? 'ER_SECURE_TRANSPORT_REQUIRED' : found;
  const known = causes.find(([pattern]) => pattern.test(code));
  if (!known) return undefined;
  const [, name, say] = known;
  return new AppError<MysqlError>({ code: name, where }, say(where), { cause: error });
}

/** MariaDB says "access denied", whatever the password, where it wants TLS. */
async function worksByTls({ host, port, user, password, database, tls = 'off' }: MysqlOptions): Promise<boolean> {
  if (tls !== 'off') return false;
  const { createConnection } = await import('mysql2/promise.js');
  const ssl = { rejectUnauthorized: false };
  try {
    await (await createConnection({ host, port, user, password, database, ssl, connectTimeout: 10_000 })).end();
    return true;
  } catch {
    return false;
  }
}

/** The driver puts a code of its own on errors of TLS, whose message is still Node's. */
function causeOf(error: unknown): string {
  const code = errorCode(error);
  if (code !== 'HANDSHAKE_SSL_ERROR') return code;
  if (/does not match certificate/.test(describeError(error))) return 'ERR_TLS_CERT_ALTNAME_INVALID';
  return /self-signed|unable to|certificate/.test(describeError(error)) ? 'CERT_UNTRUSTED' : code;
}
