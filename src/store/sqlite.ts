/** SQLite as Kysely's dialect, for files that several processes write at once. */
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type QueryResult,
  SqliteAdapter,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
} from 'kysely';
import { AppError, describeError, errorCode } from '../lib/errors';
import { shrinkReserve } from './reserve';

const WAIT_MS = 10_000;

export type SqliteError =
  | { code: 'store/busy'; where: string }
  | { code: 'store/disk-full'; where: string; hasRoomNow: boolean }
  | { code: 'store/disk-failed'; where: string };

/**
 * Opens a SQLite file that several processes may write. Waiting for another process does not block the event
 * loop.
 */
export function sqliteDialect(path: string): Dialect {
  return new PatientDialect(path, {
    database: async () => {
      const database = new Database(path, { timeout: WAIT_MS });
      database.pragma('journal_mode = WAL');
      // An acknowledged commit must survive a power cut.
      database.pragma('synchronous = FULL');
      // From here on `PatientConnection` waits, between turns of the event loop.
      database.pragma('busy_timeout = 20');
      return database;
    },
  });
}

class PatientDialect extends SqliteDialect {
  constructor(
    private readonly path: string,
    private readonly settings: SqliteDialectConfig,
  ) {
    super(settings);
  }

  override createDriver(): SqliteDriver {
    return new PatientDriver(this.path, this.settings);
  }

  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}

/**
 * Makes Kysely migrate in one transaction: of several processes that find an empty file, one creates the
 * tables.
 */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class PatientDriver extends SqliteDriver {
  constructor(
    private readonly path: string,
    settings: SqliteDialectConfig,
  ) {
    super(settings);
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    return new PatientConnection(await super.acquireConnection(), this.path);
  }

  /** Takes the write lock at once, so that two processes wait for each other instead of failing half-way. */
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
    (connection as PatientConnection).isInTransaction = true;
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    (connection as PatientConnection).isInTransaction = false;
    try {
      await super.rollbackTransaction(connection);
    } catch (error) {
      // SQLite itself rolls back when the disk is full; report the original error then.
      if (!/no transaction is active/.test(String(error))) throw error;
    }
  }
}

class PatientConnection implements DatabaseConnection {
  /** A connection is opened for each transaction, and is in it until its end. */
  isInTransaction = false;

  constructor(
    private readonly inner: DatabaseConnection,
    private readonly path: string,
  ) {}

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    for (const until = performance.now() + WAIT_MS; ; ) {
      try {
        return await this.inner.executeQuery<R>(query);
      } catch (error) {
        const code = errorCode(error);
        if (code === 'SQLITE_FULL') await this.makeRoom(error);
        else if (code !== 'SQLITE_BUSY' || performance.now() > until) throw explainSqlite(error, this.path);
        else await delay(1 + Math.random() * 10);
      }
    }
  }

  /** Throws unless the statement may be repeated: a transaction has been rolled back, and starts anew. */
  private async makeRoom(error: unknown): Promise<void> {
    const hasRoomNow = await shrinkReserve(this.path);
    if (!hasRoomNow || this.isInTransaction) throw explainSqlite(error, this.path, hasRoomNow);
  }

  streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    return this.inner.streamQuery<R>(query, chunkSize);
  }
}

/** Returns what went wrong with a file as a sentence, where SQLite's own code says so. */
export function explainSqlite(error: unknown, where: string, hasRoomNow = false): unknown {
  const code = errorCode(error);
  const say = (detail: SqliteError['code'], sentence: string) =>
    new AppError<SqliteError>({ code: detail, where, hasRoomNow }, sentence, { cause: error });
  if (code === 'SQLITE_BUSY') {
    return say('store/busy', `Another process has kept ${where} locked for ${WAIT_MS / 1000} s; end it and try again.`);
  }
  if (code === 'SQLITE_FULL') return say('store/disk-full', `The disk of ${where} is full; free some space.`);
  if (/^SQLITE_(IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB)/.test(code)) {
    return say('store/disk-failed', `${where} cannot be read or written (${describeError(error)}); check its disk.`);
  }
  return error;
}
