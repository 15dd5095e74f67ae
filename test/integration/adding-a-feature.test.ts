/** Adds the example feature of `docs/adding-a-feature.md` to the program and takes it away again. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram } from '../../src/cli';
import { Address, JobId } from '../../src/domain/ids';
import { healthMount, mountAll } from '../../src/http/mount';
import { openHttp } from '../../src/http/server';
import { silentLogger as logger } from '../../src/lib/logger';
import { dropTables, openStore, openStoreOf, type StoreOptions } from '../../src/store/open';
import { tableGroups } from '../../src/store/table-groups';
import { addCommands } from '../../src/terminal/registration';
import { noteCommands } from '../fixtures/notes/note-commands';
import { openNotes } from '../fixtures/notes/notes';
import { notesRoutes } from '../fixtures/notes/routes';
import { notesTables } from '../fixtures/notes/tables';
import { describeEachDatabase } from '../support/each-database';
import { requestJob } from '../support/request-job';

jest.setTimeout(120_000);

const root = join(__dirname, '..', '..');
const withNotes = [...tableGroups, notesTables] as const;
const jobId = JobId.parse(`0x${'0a'.repeat(16)}`);
const otherId = JobId.parse(`0x${'0b'.repeat(16)}`);

function openWithNotes(options: StoreOptions) {
  return openStoreOf(withNotes, options);
}
type StoreWithNotes = Awaited<ReturnType<typeof openWithNotes>>;

async function addJob(store: StoreWithNotes): Promise<void> {
  const requester = Address.parse(`0x${'11'.repeat(20)}`);
  const terms = { dataset: 'x', params: '{}', feeWei: 1n, fuelLimit: 1n, deadlineMs: 1, requestedBlock: 1 };
  await requestJob(store, { id: jobId, requester, ...terms });
}

/** What `app/` does for the feature: joins it with what it needs. */
function joinNotes(store: StoreWithNotes) {
  return openNotes({ notes: store.notes, hasJob: async (id) => (await store.jobs.find(id)) !== undefined });
}

describeEachDatabase('feature with tables', (database) => {
  test('added: its rows are written in one transaction with those of others', async () => {
    await using store = await openWithNotes(database.options);
    await store.transaction(async (tx) => {
      await addJob(tx);
      await joinNotes(tx).write(jobId, 'first');
    });
    const failing = store.transaction(async (tx) => {
      await joinNotes(tx).write(jobId, 'second');
      throw new Error('power cut');
    });
    await expect(failing).rejects.toThrow('power cut');
    expect(await joinNotes(store).read(jobId)).toEqual([{ text: 'first', atMs: expect.any(Number) }]);
  });

  test('added to a database in use: what is there stays', async () => {
    const before = await database.open();
    await before.cursors.save('reader', { number: 5, hash: '0xaa' });
    await before[Symbol.asyncDispose]();
    await using store = await openWithNotes(database.options);
    expect(await store.cursors.find('reader')).toEqual({ number: 5, hash: '0xaa' });
    expect(await store.notes.list(jobId)).toEqual([]);
  });

  test('reset: its rows are gone like all others', async () => {
    await using store = await openWithNotes(database.options);
    await store.notes.add(jobId, 'gone');
    await store[Symbol.asyncDispose]();
    await dropTables(database.options, withNotes);
    await using reset = await openWithNotes(database.options);
    expect(await reset.notes.list(jobId)).toEqual([]);
  });

  test('taken away after a reset: the store opens without it', async () => {
    await (await openWithNotes(database.options))[Symbol.asyncDispose]();
    await dropTables(database.options, withNotes);
    const store = await database.open();
    expect(store).not.toHaveProperty('notes');
    expect(await store.jobs.list()).toEqual([]);
  });

  test('taken away by mistake: its tables are not lost, store/newer-schema', async () => {
    await (await openWithNotes(database.options))[Symbol.asyncDispose]();
    await expect(openStore(database.options)).rejects.toMatchObject({ code: 'store/newer-schema' });
  });

  test('taken away with its group kept without repositories: the other rows stay', async () => {
    const before = await openWithNotes(database.options);
    await before.cursors.save('reader', { number: 5, hash: '0xaa' });
    await before[Symbol.asyncDispose]();
    const retired = { ...notesTables, open: () => ({}) };
    await using store = await openStoreOf([...tableGroups, retired], database.options);
    expect(store).not.toHaveProperty('notes');
    expect(await store.cursors.find('reader')).toEqual({ number: 5, hash: '0xaa' });
  });
});

test.each<[string, { tables?: object; migrations?: object; open?: () => object }, string]>([
  ['table', { tables: { jobs: true } }, 'jobs'],
  ['migration', { migrations: { '0001-queue': notesTables.migrations['0013-notes'] } }, '0001-queue'],
  ['repository', { open: () => ({ jobs: {} }) }, 'jobs'],
])('two groups with the same %s: refused by name', async (_kind, change, name) => {
  const clash = { ...notesTables, ...change } as typeof notesTables;
  const opening = openStoreOf([...tableGroups, clash], { kind: 'sqlite', path: ':memory:' });
  await expect(opening).rejects.toMatchObject({ message: expect.stringContaining(`the name ${name}`) });
});

describe('feature with routes and a command', () => {
  /** A server with the feature's entry in the list, in front of a store that knows one job. */
  async function openNode() {
    const store = await openWithNotes({ kind: 'sqlite', path: ':memory:' });
    await addJob(store);
    const mounts = [healthMount({}), { path: '/api/v1/notes', router: notesRoutes(joinNotes(store)) }];
    const http = await openHttp({ host: '127.0.0.1', port: 0 }, (app) => mountAll(app, mounts), { logger });
    const url = `http://127.0.0.1:${http.port}`;
    const post = (id: JobId, text: string) =>
      fetch(`${url}/api/v1/notes/${id}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text }),
      });
    return {
      url,
      post,
      async [Symbol.asyncDispose]() {
        await http[Symbol.asyncDispose]();
        await store[Symbol.asyncDispose]();
      },
    };
  }

  test('added to the list of routes: served beside the others', async () => {
    await using node = await openNode();
    expect((await node.post(jobId, 'slow data set')).status).toBe(204);
    const refused = await node.post(otherId, 'no such job');
    expect([refused.status, await refused.json()]).toMatchObject([404, { error: { code: 'notes/unknown-job' } }]);
    expect(await (await fetch(`${node.url}/api/v1/notes/${jobId}`)).json()).toMatchObject([{ text: 'slow data set' }]);
    expect((await fetch(`${node.url}/healthz`)).status).toBe(200);
  });

  test('added to the program: its command runs and has help', async () => {
    await using node = await openNode();
    await node.post(jobId, 'slow data set');
    const program = buildProgram();
    addCommands(program, [noteCommands]);
    const printed: string[] = [];
    const spy = jest.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
    try {
      await program.parseAsync(['notes', jobId, '--url', node.url], { from: 'user' });
    } finally {
      spy.mockRestore();
    }
    expect(JSON.parse(printed.join(''))).toMatchObject([{ text: 'slow data set' }]);
    expect(program.helpInformation()).toContain('list what operators noted about a job');
  });

  test('not in the lists: neither route nor command', async () => {
    await using http = await openHttp({ host: '127.0.0.1', port: 0 }, (app) => mountAll(app, [healthMount({})]), {
      logger,
    });
    expect((await fetch(`http://127.0.0.1:${http.port}/api/v1/notes/${jobId}`)).status).toBe(404);
    expect(buildProgram().commands.map((command) => command.name())).not.toContain('notes');
  });
});

describe('docs/adding-a-feature.md', () => {
  const page = readFileSync(join(root, 'docs', 'adding-a-feature.md'), 'utf8');
  const paths = [...page.matchAll(/`((?:src|test|docs)\/[\w./-]+|[\w-]+\.(?:md|cjs))`/g)].map(([, path]) =>
    String(path),
  );

  test('paths it names: exist, except those of the example feature', () => {
    const ofTheExample = (path: string) => /^src\/(notes|commands\/notes|store\/(migrations\/0013-)?notes)/.test(path);
    expect(paths.filter((path) => !ofTheExample(path) && !existsSync(join(root, path)))).toEqual([]);
    expect(paths.filter(ofTheExample).filter((path) => existsSync(join(root, path)))).toEqual([]);
    expect(paths.length).toBeGreaterThan(10);
  });

  test('files to edit: three lists, each of one line per entry', () => {
    const [, section = ''] = /## Three lists\n([\s\S]*?)\n## /.exec(page) ?? [];
    const edited = [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, path]) => path);
    expect(edited).toEqual(['src/store/table-groups.ts', 'src/app/master-routes.ts', 'src/cli.ts']);
  });
});
