/** The list of table groups and the tables in a real database are the same. */
import { dropTables, type StoreOptions } from '../../../src/store/open';
import { tablesOf } from '../../../src/store/table-group';
import { tableGroups } from '../../../src/store/table-groups';
import { describeEachDatabase, runSql } from '../../support/each-database';

jest.setTimeout(120_000);

const namesOfTables = {
  sqlite: "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'",
  mysql: 'select table_name as name from information_schema.tables where table_schema = database()',
};

async function listTables(options: StoreOptions): Promise<string[]> {
  const rows = (await runSql(options, namesOfTables[options.kind])) as { name: string }[];
  return rows.map(({ name }) => name).sort();
}

describeEachDatabase('table groups', (database) => {
  test('opened store: its tables are those of the groups', async () => {
    await database.open();
    const recordOfMigrations = ['kysely_migration', 'kysely_migration_lock'];
    expect(await listTables(database.options)).toEqual([...tablesOf(tableGroups), ...recordOfMigrations].sort());
  });

  test('dropTables: only the table of another program is left', async () => {
    await database.open();
    await runSql(database.options, 'create table foreign_table (id integer)');
    await dropTables(database.options);
    expect(await listTables(database.options)).toEqual(['foreign_table']);
  });

  test('dropTables: repeating it after it was cut short is no error', async () => {
    await database.open();
    await runSql(database.options, 'drop table ledger');
    await dropTables(database.options);
    await dropTables(database.options);
    expect(await listTables(database.options)).toEqual([]);
    expect(await (await database.open()).jobs.list()).toEqual([]);
  });
});
