/** Opens the store, SQLite or MySQL: connects, updates the tables, and joins the groups' repositories. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DEFAULT_MIGRATION_LOCK_TABLE, DEFAULT_MIGRATION_TABLE, Kysely, type Migration, Migrator } from 'kysely';
import { type Clock, systemClock } from '../lib/clock';
import { AppError, describeError } from '../lib/errors';
import type { Claimant } from './claimant';
import { columnTypes } from './column-types';
import { explainMysql, type MysqlError, type MysqlOptions, mysqlDialect } from './mysql';
import { type SqliteError, sqliteDialect } from './sqlite';
import {
  migrationsOf,
  openRepositories,
  type Repositories,
  requireOwners,
  type TableGroup,
  tablesOf,
} from './table-group';
import { tableGroups } from './table-groups';
import { inTransaction } from './transactions';

export type StoreOptions = { kind: 'sqlite'; path: string } | MysqlOptions;

export type StoreError =
  | { code: 'store/newer-schema'; where: string }
  | { code: 'store/failed'; where: string }
  | MysqlError
  | SqliteError;

/** The repositories of some table groups over one database. */
export type StoreOf<G extends readonly TableGroup[]> = AsyncDisposable &
  Repositories<G> & {
    /** Runs `work` on a store whose changes are all kept or none. */
    transaction<T>(work: (tx: StoreOf<G>) => Promise<T>): Promise<T>;
  };

/** All durable state of a role. */
export interface Store extends StoreOf<typeof tableGroups> {}

/**
 * Opens the database and creates or updates its tables, for a process that claims jobs under a name of its
 * own. Throws a `StoreError` that names the problem.
 */
export function openStore(
  options: StoreOptions,
  clock: Clock = systemClock,
  claimant?: Claimant | undefined,
): Promise<Store> {
  return openStoreOf(tableGroups, options, clock, claimant);
}

/** Opens a store of these table groups. */
export async function openStoreOf<const G extends readonly TableGroup[]>(
  groups: G,
  options: StoreOptions,
  clock: Clock = systemClock,
  claimant?: Claimant | undefined,
): Promise<StoreOf<G>> {
  const db = await connect(options);
  try {
    await migrate(db, groups, options.kind);
    return bind(db, groups, clock, claimant);
  } catch (error) {
    await db.destroy().catch(() => undefined);
    throw await explain(error, options);
  }
}

/** Drops every table of the groups; the next opening creates them again. */
export async function dropTables(options: StoreOptions, groups: readonly TableGroup[] = tableGroups): Promise<void> {
  const db = await connect(options);
  try {
    // Drop the record of migrations first: if the rest is cut short, the next opening creates what is
    // missing.
    for (const name of [DEFAULT_MIGRATION_TABLE, DEFAULT_MIGRATION_LOCK_TABLE, ...tablesOf(groups)]) {
      await db.schema.dropTable(name).ifExists().execute();
    }
  } catch (error) {
    throw await explain(error, options);
  } finally {
    await db.destroy();
  }
}

function bind<G extends readonly TableGroup[]>(
  db: Kysely<unknown>,
  groups: G,
  clock: Clock,
  claimant: Claimant | undefined,
): StoreOf<G> {
  return {
    ...openRepositories(groups, db, clock, claimant),
    transaction: (work) => inTransaction(db, (tx) => work(bind(tx, groups, clock, claimant))),
    [Symbol.asyncDispose]: () => db.destroy(),
  };
}

async function connect(options: StoreOptions): Promise<Kysely<unknown>> {
  if (options.kind === 'sqlite') await mkdir(dirname(options.path), { recursive: true });
  return new Kysely<unknown>({
    dialect: options.kind === 'sqlite' ? sqliteDialect(options.path) : await mysqlDialect(options),
  });
}

async function migrate(db: Kysely<unknown>, groups: readonly TableGroup[], kind: StoreOptions['kind']): Promise<void> {
  requireOwners(groups);
  const types = columnTypes(kind);
  const steps = Object.entries(migrationsOf(groups));
  const migrations = Object.fromEntries(
    steps.map(([name, up]): [string, Migration] => [name, { up: (untyped) => up(untyped, types) }]),
  );
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}

async function explain(error: unknown, options: StoreOptions): Promise<AppError> {
  if (error instanceof AppError) return error;
  const where =
    options.kind === 'sqlite' ? options.path : `${options.user}@${options.host}:${options.port}/${options.database}`;
  const say = (detail: 'store/newer-schema' | 'store/failed', sentence: string) =>
    new AppError<StoreError>({ code: detail, where }, sentence, { cause: error });
  const known = options.kind === 'mysql' ? await explainMysql(error, options, where) : undefined;
  if (known) return known;
  if (/corrupted migrations/.test(String(error))) {
    return say(
      'store/newer-schema',
      `The database ${where} was written by a newer version of this program; update it.`,
    );
  }
  return say('store/failed', `The database ${where} cannot be opened: ${describeError(error)}.`);
}
