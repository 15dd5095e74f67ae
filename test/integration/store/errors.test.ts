/** The store's errors: other versions, wrong logins, full disks. */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { openStore, type StoreOptions } from '../../../src/store/open';
import { runSql } from '../../support/each-database';
import { startMariadb } from '../../support/mariadb';
import { openScratch } from '../../support/scratch';

jest.setTimeout(60_000);

describe('openStore', () => {
  const fromTheFuture = "insert into kysely_migration (name, timestamp) values ('9999-later', '2999-01-01')";

  test('SQLite file of a later version: store/newer-schema', async () => {
    await using scratch = await openScratch();
    const options: StoreOptions = { kind: 'sqlite', path: scratch.file('queue.sqlite') };
    await (await openStore(options))[Symbol.asyncDispose]();
    await runSql(options, fromTheFuture);
    await expect(openStore(options)).rejects.toMatchObject({ code: 'store/newer-schema' });
  });

  test('MySQL database of a later version: store/newer-schema', async () => {
    await using server = await startMariadb();
    const options = await server.createDatabase();
    await (await openStore(options))[Symbol.asyncDispose]();
    await runSql(options, fromTheFuture);
    await expect(openStore(options)).rejects.toMatchObject({ code: 'store/newer-schema' });
  });

  test('wrong port, password or name: an error each, without the password', async () => {
    await using server = await startMariadb();
    const good = await server.createDatabase();
    await expect(openStore({ ...good, port: 1 })).rejects.toMatchObject({ code: 'store/unreachable' });
    await expect(openStore({ ...good, password: 'wrong' })).rejects.toMatchObject({ code: 'store/access-denied' });
    const missing = openStore({ ...good, user: 'root', password: '', database: 'nowhere' });
    await expect(missing).rejects.toMatchObject({ code: 'store/no-database' });
    await expect(openStore({ ...good, password: 'wrong' })).rejects.not.toThrow(/only for tests/);
  });

  test('directory instead of a file: store/failed', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('queue.sqlite');
    await mkdir(path);
    await expect(openStore({ kind: 'sqlite', path })).rejects.toMatchObject({ code: 'store/failed' });
  });

  test('disk full: the writer stops, acknowledged rows are there', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('queue.sqlite');
    // A limit on the size of files stands for the end of the disk.
    const command = 'ulimit -f 3000; exec "$0" -r ts-node/register/transpile-only "$@"';
    const args = [process.execPath, join(__dirname, '../../fixtures/store-writer.ts'), path, '1', '100000'];
    const writer = spawn('sh', ['-c', command, ...args]);
    const [acknowledged, complaint] = await Promise.all([text(writer.stdout), text(writer.stderr)]);
    expect(complaint).toMatch(/store\/disk-f/);
    await using store = await openStore({ kind: 'sqlite', path });
    const last = Number(acknowledged.trim().split('\n').at(-1));
    expect(last).toBeGreaterThan(0);
    expect((await store.jobs.list({ states: ['claimed'], limit: 1_000_000 })).length).toBeGreaterThanOrEqual(last);
  });
});
