import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type CreateTableBuilder, type Dialect, Kysely, type Migration, Migrator, MysqlDialect, sql } from 'kysely';
import { createPool } from 'mysql2';
import { type Clock, systemClock } from '../lib/clock';
import { AppError, describeError, errorCode } from '../lib/errors';
import { Board } from './board';
import { Cursors } from './cursors';
import { Intents } from './intents';
import { Jobs } from './jobs';
import { Ledger } from './ledger';
import * as queue from './migrations/0001-queue';
import * as board from './migrations/0002-board';
import * as boardOrder from './migrations/0003-board-order';
import { Rounds } from './rounds';
import type { Tables } from './schema';
import { type SqliteError, sqliteDialect } from './sqlite';
import { inTransaction } from './transactions';
import { Workers } from './workers';

export type StoreOptions =
  | { kind: 'sqlite'; path: string }
  | { kind: 'mysql'; host: string; port: number; user: string; password: string; database: string };

export type StoreError =
  | { code: 'store/unreachable'; where: string }
  | { code: 'store/access-denied'; where: string }
  | { code: 'store/no-database'; where: string }
  | { code: 'store/newer-schema'; where: string }
  | { code: 'store/failed'; where: string }
  | SqliteError;

/** All of a master's durable state. */
export interface Store extends AsyncDisposable {
  readonly jobs: Jobs;
  readonly ledger: Ledger;
  readonly rounds: Rounds;
  readonly workers: Workers;
  readonly cursors: Cursors;
  readonly intents: Intents;
  readonly board: Board;
  /** Runs `work` on a store whose every change is kept or none is. */
  transaction<T>(work: (tx: Store) => Promise<T>): Promise<T>;
}

const LATEST_SCHEMA = ['0001-queue', '0002-board', '0003-board-order'] as const;

/** Opens the database, creating or upgrading its tables. Throws a `StoreError` that names what is wrong with it. */
export async function openStore(options: StoreOptions, clock: Clock = systemClock): Promise<Store> {
  const db = await connect(options);
  try {
    await migrate(db, options.kind);
  } catch (error) {
    await db.destroy().catch(() => undefined);
    throw explain(error, options);
  }
  return bind(db, clock);
}

/** Drops every table of ours, and makes them anew. */
export async function resetStore(options: StoreOptions): Promise<void> {
  const db = await connect(options);
  try {
    const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
    const ours = new Set([
      'jobs',
      'job_events',
      'ledger',
      'leases',
      'rounds',
      'receipts',
      'workers',
      'cursors',
      'intents',
      'chain_events',
      'board_jobs',
    ]);
    for (const { name } of tables) {
      if (ours.has(name) || name.startsWith('kysely_migration')) await db.schema.dropTable(name).execute();
    }
    await migrate(db, options.kind);
  } catch (error) {
    throw explain(error, options);
  } finally {
    await db.destroy();
  }
}

function bind(db: Kysely<Tables>, clock: Clock): Store {
  return {
    jobs: new Jobs(db, clock),
    ledger: new Ledger(db, clock),
    rounds: new Rounds(db, clock),
    workers: new Workers(db, clock),
    cursors: new Cursors(db),
    intents: new Intents(db, clock),
    board: new Board(db),
    transaction: (work) => inTransaction(db, (tx) => work(bind(tx, clock))),
    [Symbol.asyncDispose]: () => db.destroy(),
  };
}

async function connect(options: StoreOptions): Promise<Kysely<Tables>> {
  if (options.kind === 'sqlite') await mkdir(dirname(options.path), { recursive: true });
  return new Kysely<Tables>({ dialect: options.kind === 'sqlite' ? sqliteDialect(options.path) : mysql(options) });
}

function mysql({ host, port, user, password, database }: Extract<StoreOptions, { kind: 'mysql' }>): Dialect {
  const pool = createPool({
    host,
    port,
    user,
    password,
    database,
    connectionLimit: 8,
    connectTimeout: 10_000,
    charset: 'utf8mb4_bin',
  });
  return new MysqlDialect({ pool });
}

async function migrate(db: Kysely<Tables>, kind: StoreOptions['kind']): Promise<void> {
  const migrations: Record<(typeof LATEST_SCHEMA)[number], Migration> = {
    '0001-queue': { up: (untyped) => queue.up(untyped, columnTypes(kind)) },
    '0002-board': { up: (untyped) => board.up(untyped, columnTypes(kind)) },
    '0003-board-order': { up: (untyped) => boardOrder.up(untyped) },
  };
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}

function columnTypes(kind: StoreOptions['kind']): queue.ColumnTypes {
  const finishMysql = (builder: CreateTableBuilder<string>) =>
    builder.modifyEnd(sql`engine=InnoDB default charset=utf8mb4 collate=utf8mb4_bin`);
  return {
    longText: kind === 'mysql' ? sql`longtext` : 'text',
    autoIncrement: (builder) =>
      builder.addColumn('id', kind === 'mysql' ? 'bigint' : 'integer', (c) => c.primaryKey().autoIncrement()),
    finish: (builder) => (kind === 'mysql' ? finishMysql(builder) : builder),
  };
}

function explain(error: unknown, options: StoreOptions): AppError {
  if (error instanceof AppError) return error;
  const where =
    options.kind === 'sqlite' ? options.path : `${options.user}@${options.host}:${options.port}/${options.database}`;
  const code = errorCode(error);
  const say = (detail: StoreError['code'], sentence: string) =>
    new AppError<StoreError>({ code: detail, where }, sentence, { cause: error });
  if (['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'EHOSTUNREACH'].includes(code)) {
    return say(
      'store/unreachable',
      `The database ${where} cannot be reached; start it, or correct host and port in external_db.`,
    );
  }
  if (code === 'ER_ACCESS_DENIED_ERROR' || code === 'ER_DBACCESS_DENIED_ERROR') {
    return say('store/access-denied', `The database refuses ${where}; correct user and password in external_db.`);
  }
  if (code === 'ER_BAD_DB_ERROR') {
    return say('store/no-database', `There is no database at ${where}; create it with CREATE DATABASE.`);
  }
  if (/corrupted migrations/.test(String(error))) {
    return say(
      'store/newer-schema',
      `The database ${where} was written by a newer version of this program; update it.`,
    );
  }
  return say('store/failed', `The database ${where} cannot be opened: ${describeError(error)}.`);
}
