/** MariaDB as managed services set it up: TLS demanded, certificates checked, odd settings of their own. */
import { join } from 'node:path';
import { Address } from '../../../src/domain/ids';
import type { MysqlOptions } from '../../../src/store/mysql';
import { openStore, type Store } from '../../../src/store/open';
import { runSql } from '../../support/each-database';
import { startMariadb, type TestServer } from '../../support/mariadb';

jest.setTimeout(120_000);

const tls = join(__dirname, '../../fixtures/tls');
/** For localhost; signed by itself, so also its own authority. */
const caFile = join(tls, 'cert.pem');
/** For other.example. */
const other = join(tls, 'other-cert.pem');
const worker = Address.parse(`0x${'1'.repeat(40)}`);

/** Opens the store and writes to it. */
async function use(options: MysqlOptions): Promise<number> {
  await using store = await openStore(options);
  return await store.workers.addStrike(worker, 'a test');
}

describe('server that demands TLS', () => {
  let server: TestServer;
  let plain: MysqlOptions;
  beforeAll(async () => {
    server = await startMariadb([
      `--ssl-cert=${caFile}`,
      `--ssl-key=${join(tls, 'key.pem')}`,
      '--require-secure-transport=ON',
    ]);
    plain = { ...(await server.createDatabase()), host: 'localhost' };
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('tls on, authority named: works', async () => {
    expect(await use({ ...plain, tls: 'on', caFile })).toBe(1);
  });

  test('tls insecure: works without the authority', async () => {
    expect(await use({ ...plain, tls: 'insecure' })).toBeGreaterThan(0);
  });

  test.each<[string, Partial<MysqlOptions>, string, RegExp]>([
    ['tls off', {}, 'store/tls-required', /demands TLS; set tls in external_db to "on"/],
    ['authority unknown', { tls: 'on' }, 'store/untrusted-certificate', /name its authority's certificate as caFile/],
    ['address as host', { tls: 'on', caFile, host: '127.0.0.1' }, 'store/no-host-name', /use the name of 127\.0\.0\.1/],
    ['wrong password', { tls: 'on', caFile, password: 'wrong' }, 'store/access-denied', /correct user and password/],
    ['no such file', { tls: 'on', caFile: '/none.pem' }, 'store/no-ca-file', /none\.pem cannot be read \(ENOENT\)/],
  ])('%s: told as what it is', async (_situation, changes, code, message) => {
    const attempt = use({ ...plain, ...changes });
    await expect(attempt).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe('server with settings of its own', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startMariadb([
      '--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES',
      '--autocommit=0',
      '--transaction-isolation=SERIALIZABLE',
      `--ssl-cert=${other}`,
      `--ssl-key=${join(tls, 'other-key.pem')}`,
    ]);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('no autocommit, lax and odd mode: what was written is there, to the letter', async () => {
    const options = await server.createDatabase();
    const reason = 'it\'s a \\ and a " in one';
    {
      await using store = await openStore(options);
      await store.workers.addStrike(worker, reason);
    }
    const [row] = await runSql(options, 'select last_strike from workers');
    expect(row).toEqual({ last_strike: reason });
  });

  test('process halts within a transaction: its locks are free soon, its work is undone', async () => {
    const options = await server.createDatabase();
    await using first = await openStore(options);
    await using second = await openStore(options);
    await first.workers.addStrike(worker, 'before');
    const { halted, goOn } = await haltWithin(first, (tx) => tx.workers.addStrike(worker, 'lost'));
    expect(await second.workers.addStrike(worker, 'meanwhile')).toBe(2);
    goOn();
    await expect(halted).rejects.toThrow();
    expect(await first.workers.addStrike(worker, 'after')).toBe(3);
  });

  test('text longer than its column: refused instead of cut', async () => {
    await using store = await openStore(await server.createDatabase());
    const cursor = store.cursors.save('x'.repeat(1000), { number: 1, hash: '' });
    await expect(cursor).rejects.toMatchObject({ code: 'ER_DATA_TOO_LONG' });
  });

  test('certificate of another host: told as what it is', async () => {
    const options = { ...(await server.createDatabase()), host: 'localhost' };
    const refusal = { code: 'store/wrong-host', message: expect.stringContaining('is for another host') };
    await expect(use({ ...options, tls: 'on', caFile: other })).rejects.toMatchObject(refusal);
  });
});

/** Begins a transaction with this work, which ends no sooner than it is told to go on. */
async function haltWithin(store: Store, work: (tx: Store) => Promise<unknown>) {
  let goOn = () => {};
  const toldToGoOn = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let halted: Promise<void> | undefined;
  await new Promise<void>((resolve) => {
    halted = store.transaction(async (tx) => {
      await work(tx);
      resolve();
      await toldToGoOn;
    });
    halted.catch(() => undefined);
  });
  return { halted, goOn };
}
