/** The store's guarantees that the sender relies on, when many signers write at the same moment. */
import { Address } from '../../../../src/domain/ids';
import { openStore, type Store, type StoreOptions } from '../../../../src/store/open';
import { startMariadb, type TestServer } from '../../../support/mariadb';
import { openScratch } from '../../../support/scratch';

jest.setTimeout(120_000);

const account = Address.parse(`0x${'1'.repeat(40)}`);
const act = (key: string) => ({ account, key, to: account, data: '0x12', valueWei: 3n });
const attempt = (hash: string) => ({ hash, raw: '0x', maxFeePerGas: '1', maxPriorityFeePerGas: '1', atMs: 1 });

let server: TestServer;
beforeAll(async () => {
  server = await startMariadb();
});
afterAll(() => server[Symbol.asyncDispose]());

describe.each(['sqlite', 'mysql'] as const)('intents that several processes sign, %s', (kind) => {
  let scratch: Awaited<ReturnType<typeof openScratch>>;
  let stores: Store[];
  beforeEach(async () => {
    scratch = await openScratch();
    const options: StoreOptions =
      kind === 'sqlite' ? { kind, path: scratch.file('queue.sqlite') } : await server.createDatabase();
    stores = [await openStore(options), await openStore(options), await openStore(options)];
  });
  afterEach(async () => {
    for (const store of stores) await store[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  });
  const intents = (i: number) => (stores[i] as Store).intents;

  test('many acts want one nonce at the same moment: one gets it', async () => {
    for (let nonce = 0; nonce < 10; nonce += 1) {
      const begun = await Promise.all(stores.map((_, i) => intents(i).begin(act(`${nonce}:${i}`))));
      const saved = await Promise.all(begun.map(({ id }, i) => intents(i).saveAttempt(id, nonce, attempt(id), [])));
      expect(saved.filter(Boolean)).toHaveLength(1);
    }
    expect((await intents(0).listPending(account)).map(({ nonce }) => nonce)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('many signers of one act at the same moment: one signs, all get that', async () => {
    for (let round = 0; round < 10; round += 1) {
      const begun = await Promise.all(stores.map((_, i) => intents(i).begin(act(`same:${round}`))));
      const saves = begun.map(({ id }, i) => intents(i).saveAttempt(id, 10 * round + i, attempt(`0x${i}`), []));
      const [first, ...others] = await Promise.all(saves);
      expect(first?.attempts).toHaveLength(1);
      for (const other of others) expect(other).toEqual(first);
    }
  });

  test('version signed on outdated versions: not added', async () => {
    const { id } = await intents(0).begin(act('a'));
    const one = await intents(0).saveAttempt(id, 5, attempt('0xa'), []);
    const two = await intents(1).saveAttempt(id, 5, attempt('0xb'), one?.attempts ?? []);
    expect(two?.attempts.map(({ hash }) => hash)).toEqual(['0xa', '0xb']);
    expect(await intents(2).saveAttempt(id, 5, attempt('0xc'), one?.attempts ?? [])).toEqual(two);
    await intents(0).markMined(id, '0xb');
    const late = await intents(2).saveAttempt(id, 6, attempt('0xd'), two?.attempts ?? []);
    expect(late).toMatchObject({ state: 'mined', nonce: 5, minedHash: '0xb' });
  });

  test('mined from a nonce on: listed in order, and may be reopened', async () => {
    for (const [nonce, key] of [
      [7, 'c'],
      [5, 'a'],
      [6, 'b'],
    ] as const) {
      const { id } = await intents(0).begin(act(key));
      await intents(0).saveAttempt(id, nonce, attempt(`0x${key}`), []);
      await intents(0).markMined(id, `0x${key}`);
    }
    const mined = await intents(0).listMinedFrom(account, 6);
    expect(mined.map(({ key }) => key)).toEqual(['b', 'c']);
    expect(await intents(0).reopen(mined[0]?.id ?? '')).toMatchObject({ key: 'b', state: 'signed', nonce: 6 });
    expect((await intents(0).listPending(account)).map(({ key }) => key)).toEqual(['b']);
    await intents(0).markFailed(mined[0]?.id ?? '', 'reverted');
    expect(await intents(0).reopen(mined[0]?.id ?? '')).toMatchObject({ state: 'failed' });
  });
});
