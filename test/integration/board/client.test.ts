/** The board's client against honest, wrong and hostile boards, with a real chain. */
import type { Express } from 'express';
import { takeOpenJobs } from '../../../src/app/open-jobs';
import { fetchBoardPage, fetchOpenJobs, printable } from '../../../src/board/client';
import { requestsIn } from '../../../src/chain/acts/requests';
import { openChain } from '../../../src/chain/rpc/client';
import type { JobId } from '../../../src/domain/ids';
import { openHttp } from '../../../src/http/server';
import { silentLogger as logger } from '../../../src/lib/logger';
import type { BoardJobView } from '../../../src/protocol/board';
import { openStore } from '../../../src/store/open';
import { runInProcess } from '../../support/cli';
import { type Escrow, FEE, openEscrow } from '../../support/escrow';
import { openScratch } from '../../support/scratch';

jest.setTimeout(60_000);

let escrow: Escrow;
beforeAll(async () => {
  escrow = await openEscrow();
});
afterAll(() => escrow[Symbol.asyncDispose]());

/** Starts a server with these routes in place of an honest board. */
async function openFakeBoard(mount: (app: Express) => void) {
  const http = await openHttp({ host: '127.0.0.1', port: 0 }, mount, { logger });
  return { url: `http://127.0.0.1:${http.port}`, [Symbol.asyncDispose]: () => http[Symbol.asyncDispose]() };
}

const hash = (n: number) => `0x${n.toString(16).padStart(64, '0')}`;

function view(jobId: string, txHash: string, changes: Partial<BoardJobView> = {}): BoardJobView {
  return {
    jobId: jobId as JobId,
    status: 'REQUESTED',
    isFinal: true,
    requester: escrow.address.requester,
    feeWei: '1',
    fuelLimit: '1',
    deadlineMs: 1,
    dataset: 'sha256:a',
    params: '{}',
    requestedBlock: 1,
    updatedBlock: 1,
    txHash,
    ...changes,
  };
}

function serving(jobs: readonly BoardJobView[]) {
  return openFakeBoard((app) => {
    app.get('/api/v1/jobs', (request, response) => {
      const [page, pageSize] = [Number(request.query['page']), Number(request.query['pageSize'] ?? 50)];
      const shown = jobs.slice((page - 1) * pageSize, page * pageSize);
      response.json({ page, pageSize, total: jobs.length, head: { number: 1, final: 1 }, jobs: shown });
    });
  });
}

/** Opens what confirms a request on the chain. */
async function openVerify() {
  const chain = await openChain({
    endpoint: escrow.provider._getConnection().url,
    core: escrow.core,
    token: escrow.token,
  });
  return {
    async verify(jobId: JobId, txHash: string) {
      return (await requestsIn(chain, txHash)).find((request) => request.jobId === jobId);
    },
    [Symbol.asyncDispose]: () => chain[Symbol.asyncDispose](),
  };
}

/** The transaction in the newest block. */
async function lastTx(): Promise<string> {
  const block = (await escrow.provider.send('eth_getBlockByNumber', ['latest', false])) as { transactions: string[] };
  return block.transactions[0] ?? '';
}

describe('fetchOpenJobs', () => {
  test('unconfirmed jobs on a board: left out, terms come from the chain', async () => {
    const first = await escrow.request({ fee: 3n * 10n ** 18n });
    const firstTx = await lastTx();
    const second = await escrow.request({ fee: 2n * 10n ** 18n });
    const secondTx = await lastTx();
    await using chain = await openVerify();
    await using board = await serving([
      view(second, secondTx, { feeWei: '999999999999999999999999', requester: escrow.address.stranger }),
      view(`0x${'ab'.repeat(16)}`, firstTx),
      view(first, firstTx),
      view(`0x${'cd'.repeat(16)}`, hash(7)),
    ]);
    const jobs = await fetchOpenJobs(board.url, { verify: chain.verify, logger });
    expect(jobs.map(({ jobId, feeWei, requester }) => [jobId, feeWei, requester])).toEqual([
      [second, 2n * 10n ** 18n, escrow.address.requester],
      [first, 3n * 10n ** 18n, escrow.address.requester],
    ]);
  });

  test('job listed twice: all pages read, the chain asked once', async () => {
    const jobs = Array.from({ length: 450 }, (_, i) => view(`0x${(i % 449).toString(16).padStart(32, '0')}`, hash(1)));
    await using board = await serving(jobs);
    const asked: string[] = [];
    const verify = async (jobId: JobId) => void asked.push(jobId);
    expect(await fetchOpenJobs(board.url, { verify: async (id) => (await verify(id)) ?? undefined, logger })).toEqual(
      [],
    );
    expect(asked).toHaveLength(449);
    expect(new Set(asked).size).toBe(449);
  });

  test('endless board: reading stops after 25 pages', async () => {
    let pages = 0;
    await using board = await openFakeBoard((app) => {
      app.get('/api/v1/jobs', (_request, response) => {
        pages += 1;
        const jobs = [view(`0x${pages.toString(16).padStart(32, '0')}`, hash(1))];
        response.json({ page: 1, pageSize: 200, total: 2 ** 40, head: { number: 1, final: 1 }, jobs });
      });
    });
    expect(await fetchOpenJobs(board.url, { verify: async () => undefined, logger })).toEqual([]);
    expect(pages).toBe(25);
  });

  test('chain fails or the signal aborts: that error is thrown', async () => {
    await using board = await serving([view(`0x${'ab'.repeat(16)}`, hash(1))]);
    const verify = () => Promise.reject(new Error('no node answers'));
    await expect(fetchOpenJobs(board.url, { verify, logger })).rejects.toThrow('no node answers');
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(fetchOpenJobs(board.url, { verify, logger, signal })).rejects.toThrow('stopped');
  });
});

describe('fetchBoardPage', () => {
  const query = { page: 1, sort: 'newest' } as const;

  test.each<[string, (app: Express) => void, string, RegExp]>([
    [
      'is no board',
      (app) => void app.get('/api/v1/jobs', (_q, r) => void r.json({ jobs: 7 })),
      'board/refused',
      /not a board/,
    ],
    [
      'says no JSON',
      (app) => void app.get('/api/v1/jobs', (_q, r) => void r.send('<html>')),
      'board/unreachable',
      /JSON/,
    ],
    [
      'answers without end',
      (app) =>
        void app.get('/api/v1/jobs', (_q, r) => {
          const piece = Buffer.alloc(2 ** 20, ' ');
          const push = () => {
            while (!r.destroyed && r.write(piece));
          };
          r.on('drain', push);
          push();
        }),
      'board/unreachable',
      /longer than/,
    ],
    [
      'names a transaction that is none',
      (app) =>
        void app.get('/api/v1/jobs', (_q, r) => {
          const jobs = [view(`0x${'ab'.repeat(16)}`, '../../admin')];
          r.json({ page: 1, pageSize: 50, total: 1, head: { number: 1, final: 1 }, jobs });
        }),
      'board/refused',
      /not a board/,
    ],
  ])('board that %s: refused', async (_name, mount, code, message) => {
    await using board = await openFakeBoard(mount);
    const asking = fetchBoardPage(board.url, query);
    await expect(asking).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

test("control characters in a board's answer: replaced", async () => {
  expect(printable('\u001b[2Ja\u202eb\nc')).toBe('\ufffd[2Ja\ufffdb\ufffdc');
  await using board = await serving([view(`0x${'ab'.repeat(16)}`, hash(1), { dataset: '\u001b]0;owned\u0007x' })]);
  const { status, out } = await runInProcess('joblist', '--board', board.url);
  expect(status).toBe(0);
  expect(out).toContain('owned');
  expect(out).not.toContain('\u0007');
  expect(out).not.toContain('\u001b');
});

test('takeOpenJobs: confirmed jobs enter the queue, an absent board is no error', async () => {
  await using scratch = await openScratch();
  await using store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
  const endpoint = escrow.provider._getConnection().url;
  await using chain = await openChain({ endpoint, core: escrow.core, token: escrow.token });
  const jobId = await escrow.request();
  await using board = await serving([view(jobId, await lastTx()), view(`0x${'9'.repeat(32)}`, hash(9))]);
  const deps = { chain, store, logger, signal: new AbortController().signal };
  await takeOpenJobs('http://127.0.0.1:1', deps);
  expect(await store.jobs.list()).toEqual([]);
  await takeOpenJobs(board.url, deps);
  expect((await store.jobs.list()).map(({ id, feeWei, state }) => [id, feeWei, state])).toEqual([
    [jobId, FEE, 'queued'],
  ]);
});
