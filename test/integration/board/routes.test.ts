/** The board from the chain to HTTP: events, reorganisations, bad queries and restarts. */

import { readdir } from 'node:fs/promises';
import { fetchBoardPage } from '../../../src/board/client';
import { indexFinal, indexTentative } from '../../../src/board/indexer';
import { boardRoutes } from '../../../src/board/routes';
import { watchChain } from '../../../src/chain/reading/poll-loop';
import { openChain } from '../../../src/chain/rpc/client';
import { clientBehind } from '../../../src/http/client-address';
import { openHttp } from '../../../src/http/server';
import { systemClock as clock } from '../../../src/lib/clock';
import { freePort } from '../../../src/lib/free-port';
import { silentLogger as logger } from '../../../src/lib/logger';
import { BoardHistory, BoardPage } from '../../../src/protocol/board';
import { openStore } from '../../../src/store/open';
import { runInProcess } from '../../support/cli';
import { type Escrow, openEscrow } from '../../support/escrow';
import { openScratch } from '../../support/scratch';

/** Less than a test may take, so that it can say what it waited for. */
const LIMIT_MS = 50_000;

let escrow: Escrow;
beforeAll(async () => {
  escrow = await openEscrow();
});
beforeEach(() => escrow.reset());
afterAll(() => escrow[Symbol.asyncDispose]());

/** A board of the contracts' chain, whose newest block is not final. */
async function openBoard(confirmations = 1) {
  const scratch = await openScratch();
  const stop = new AbortController();
  const endpoint = escrow.provider._getConnection().url;
  const chain = await openChain({ endpoint, core: escrow.core, token: escrow.token });
  const store = await openStore({ kind: 'sqlite', path: scratch.file('board.sqlite') });
  const cursorId = 'board';
  const http = await openHttp(
    { host: '127.0.0.1', port: 0 },
    (app) => void app.use('/api/v1', boardRoutes({ store, cursorId, clientAddress: clientBehind([]) })),
    { logger },
  );
  const watching = watchChain(
    { confirmations, pollMs: 10 },
    {
      chain,
      clock,
      logger,
      loadCursors: () => store.cursors.findPair(cursorId),
      onTentative: (batch) => indexTentative(store, cursorId, batch),
      onFinal: (events, cursor) =>
        store.transaction(async (tx) => {
          await indexFinal(tx, events, cursor);
          await tx.cursors.save(cursorId, cursor);
        }),
    },
    stop.signal,
  );
  const url = `http://127.0.0.1:${http.port}`;
  const get = async (path: string) => {
    const response = await fetch(`${url}/api/v1/${path}`);
    return { status: response.status, body: (await response.json()) as { error?: { code: string; message: string } } };
  };
  return {
    url,
    store,
    signal: stop.signal,
    get,
    /** Asks until the answer is as wanted. */
    async until(path: string, check: (page: BoardPage) => boolean): Promise<BoardPage> {
      for (const end = Date.now() + LIMIT_MS; ; await clock.sleep(20)) {
        const page = BoardPage.parse((await get(path)).body);
        if (check(page)) return page;
        if (Date.now() > end) throw new Error(`The board still answers ${JSON.stringify(page)}`);
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
      for (const opened of [http, store, chain, scratch]) await opened[Symbol.asyncDispose]();
    },
  };
}

test('new request: listed at once, then final, with its history', async () => {
  await using board = await openBoard();
  const jobId = await escrow.request();
  const fresh = await board.until('jobs', ({ total }) => total === 1);
  expect(fresh.jobs[0]).toMatchObject({
    jobId,
    status: 'REQUESTED',
    isFinal: false,
    requester: escrow.address.requester,
  });
  await escrow.send('node', 'process', jobId);
  const [taken] = (await board.until('jobs?status=processing', ({ total }) => total === 1)).jobs;
  expect(taken).toMatchObject({ status: 'PROCESSING', node: escrow.address.node, isFinal: false });
  await escrow.provider.send('evm_mine', []);
  await board.until('jobs', ({ jobs }) => jobs[0]?.isFinal === true);
  const { events } = BoardHistory.parse((await board.get(`jobs/${jobId}`)).body);
  expect(events.map(({ type, isFinal }) => [type, isFinal])).toEqual([
    ['JobRequested', true],
    ['JobProcessing', true],
  ]);
});

test('reorganisation: undone jobs are gone, new ones listed', async () => {
  await using board = await openBoard(5);
  const kept = await escrow.request();
  const lost = await escrow.request();
  await board.until('jobs', ({ total }) => total === 2);
  await escrow.provider.send('anvil_reorg', [1, []]);
  const found = await escrow.request({ fee: 2n * 10n ** 18n });
  await escrow.provider.send('evm_mine', []);
  const page = await board.until('jobs', ({ jobs }) => jobs.some(({ jobId }) => jobId === found));
  const ids = page.jobs.map(({ jobId }) => jobId);
  expect(ids).toContain(kept);
  expect(ids).not.toContain(lost);
});

test.each<[string, number, string, RegExp]>([
  ['jobs?status=SOON', 400, 'board/bad-query', /must be one of .*REQUESTED.*, not "SOON"/],
  ['jobs?page=0', 400, 'board/bad-query', /page/],
  ['jobs?pageSize=100000', 400, 'board/bad-query', /pageSize/],
  ['jobs?nosuch=1', 400, 'board/bad-query', /nosuch/],
  ['jobs/7', 400, 'board/bad-query', /not a job id/],
  [`jobs/0x${'ab'.repeat(16)}`, 404, 'board/unknown-job', /not on this board/],
])('GET %s: %i %s', async (path, status, code, message) => {
  await using board = await openBoard();
  const answer = await board.get(path);
  expect(answer).toMatchObject({ status, body: { error: { code } } });
  expect(answer.body.error?.message).toMatch(message);
});

test('joblist --board: shows the jobs, and explains a bad query', async () => {
  await using board = await openBoard();
  const jobId = await escrow.request();
  await board.until('jobs', ({ total }) => total === 1);
  const list = async (...more: string[]) => runInProcess('joblist', '--board', board.url, ...more);
  expect(BoardPage.parse(JSON.parse((await list('--json', '--state', 'requested')).out)).jobs[0]?.jobId).toBe(jobId);
  expect((await list()).out).toContain(jobId);
  expect((await list('--state', 'verified')).talk).toContain('no such jobs');
  expect(await list('--state', 'soon')).toMatchObject({ status: 2 });
  const { status, talk } = await runInProcess('joblist', '--board', 'http://127.0.0.1:1');
  expect([status, talk]).toEqual([1, expect.stringContaining('No board answers')]);
});

test('emeth board restarted: serves everything again, without a key', async () => {
  await using scratch = await openScratch();
  const config = scratch.file('board.json');
  const url = `http://127.0.0.1:${await freePort()}`;
  const settings = {
    endpoint: escrow.provider._getConnection().url,
    emethContractAddress: escrow.core,
    tokenContractAddress: escrow.token,
    my_url: url,
    pollMs: 20,
  };
  const set = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const initialised = await runInProcess('init', 'board', '--config', config, ...set, '--json');
  expect(JSON.parse(initialised.out)).toEqual({ config });
  const jobIds = [await escrow.request()];
  for (const run of [1, 2]) {
    const ended = runInProcess(
      'board',
      '--config',
      config,
      '--data-dir',
      scratch.file('board'),
      '--log-level',
      'error',
    );
    const page = await untilListed(url, run);
    expect(page.jobs.map(({ jobId }) => jobId)).toEqual(jobIds);
    // Requested while it runs, then seen by the next run, too.
    jobIds.unshift(await escrow.request());
    expect((await untilListed(url, run + 1)).total).toBe(run + 1);
    process.emit('SIGTERM', 'SIGTERM');
    expect((await ended).status).toBe(0);
    // A process runs one command; here the next run's signal would be the second of this one, which ends the
    // process.
    for (const name of ['SIGTERM', 'SIGINT']) process.removeAllListeners(name);
  }
  expect(await readdir(scratch.path)).toEqual(['board', 'board.json']);
});

async function untilListed(url: string, total: number): Promise<BoardPage> {
  for (const end = Date.now() + LIMIT_MS; ; await clock.sleep(20)) {
    const page = await fetchBoardPage(url, { page: 1, sort: 'newest' }).catch(() => undefined);
    if (page?.total === total) return page;
    if (Date.now() > end) throw new Error(`The board still answers ${JSON.stringify(page)}`);
  }
}
