/** Runs the same tests on SQLite and on MariaDB, each test on a fresh, empty database. */
import Database from 'better-sqlite3';
import { createConnection } from 'mysql2/promise';
import type { Clock } from '../../src/lib/clock';
import type { Claimant } from '../../src/store/claimant';
import { openStore, type Store, type StoreOptions } from '../../src/store/open';
import { startMariadb, type TestServer } from './mariadb';
import { openScratch } from './scratch';

/** The database of the current test. */
export interface TestDatabase {
  readonly kind: StoreOptions['kind'];
  readonly options: StoreOptions;
  /** Opens a store, closed after the test at the latest. */
  open(clock?: Clock, claimant?: Claimant): Promise<Store>;
}

/** Declares a `describe` for each kind of database; the second one starts a server of its own. */
export function describeEachDatabase(name: string, tests: (database: TestDatabase) => void): void {
  describe.each(['sqlite', 'mysql'] as const)(`${name}, %s`, (kind) => {
    let server: TestServer | undefined;
    let scratch: Awaited<ReturnType<typeof openScratch>>;
    let options: StoreOptions;
    let opened: Store[] = [];
    beforeAll(async () => {
      if (kind === 'mysql') server = await startMariadb();
    });
    afterAll(() => server?.[Symbol.asyncDispose]());
    beforeEach(async () => {
      opened = [];
      scratch = await openScratch();
      options = (await server?.createDatabase()) ?? { kind: 'sqlite', path: scratch.file('queue.sqlite') };
    });
    afterEach(async () => {
      for (const store of opened) await store[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    });
    tests({
      kind,
      get options() {
        return options;
      },
      async open(clock, claimant) {
        const store = await openStore(options, clock, claimant);
        opened.push(store);
        return store;
      },
    });
  });
}

/** Runs one SQL statement outside the store; returns its rows. */
export async function runSql(options: StoreOptions, statement: string): Promise<unknown[]> {
  if (options.kind === 'sqlite') {
    const database = new Database(options.path);
    try {
      const prepared = database.prepare(statement);
      if (prepared.reader) return prepared.all();
      prepared.run();
      return [];
    } finally {
      database.close();
    }
  }
  const { kind: _, ...where } = options;
  const connection = await createConnection(where);
  try {
    const [rows] = await connection.query(statement);
    return Array.isArray(rows) ? rows : [];
  } finally {
    await connection.end();
  }
}
