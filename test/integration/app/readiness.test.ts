/** Readiness over a real database and real HTTP: each check by itself, and what strangers read of it. */
import type express from 'express';
import { Readiness } from '../../../src/app/readiness';
import { openBucket } from '../../../src/blobs/bucket';
import type { JobId } from '../../../src/domain/ids';
import { readyMount } from '../../../src/http/mount';
import { openHttp } from '../../../src/http/server';
import { freePort } from '../../../src/lib/free-port';
import { silentLogger } from '../../../src/lib/logger';
import { ReadyAnswer } from '../../../src/protocol/readiness';
import { openStore, type StoreOptions } from '../../../src/store/open';
import { runSql } from '../../support/each-database';
import { openScratch } from '../../support/scratch';
import { SteppedClock } from '../../support/stepped-clock';
import { jobId } from '../../support/worker-messages';

/** A daemon with nothing but its readiness; `later` lets so much time pass. */
async function openDaemon(checkBucket?: () => Promise<void>) {
  const scratch = await openScratch();
  const options: StoreOptions = { kind: 'sqlite', path: scratch.file('queue.sqlite') };
  const store = await openStore(options);
  const clock = new SteppedClock();
  const stray: JobId[] = [];
  const strayJobs = async () => stray;
  const readiness = new Readiness({ dataDir: scratch.path, store, clock, pollMs: 4000, strayJobs, checkBucket });
  const { path, router } = readyMount(() => readiness.check());
  const place = { host: '127.0.0.1', port: 0 };
  const http = await openHttp(place, (app: express.Express) => app.use(path, router), { logger: silentLogger });
  return {
    ...{ options, stray, readiness },
    later(ms: number) {
      void clock.sleep(ms);
      clock.step();
    },
    async ask() {
      const response = await fetch(`http://127.0.0.1:${http.port}/readyz`);
      const { status, checks } = ReadyAnswer.parse(await response.json());
      return { http: response.status, status, bad: checks.filter(({ ok }) => !ok) };
    },
    async [Symbol.asyncDispose]() {
      for (const opened of [http, store, scratch]) await opened[Symbol.asyncDispose]();
    },
  };
}

test('everything well: ready, also a minute later if the chain was read meanwhile', async () => {
  await using daemon = await openDaemon();
  daemon.readiness.noteChainRead();
  const ready = { http: 200, status: 'ready', bad: [] };
  expect(await daemon.ask()).toEqual(ready);
  daemon.later(55_000);
  daemon.readiness.noteChainRead();
  daemon.later(55_000);
  expect(await daemon.ask()).toEqual(ready);
});

test('bucket behind a service that is away: 503 that says so, without its address', async () => {
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  using bucket = await openBucket({
    ...{ endpoint, region: 'us-east-1', bucket: 'market', forcePathStyle: true },
    credentials: { accessKeyId: 'test', secretAccessKey: 'only-for-tests' },
  });
  await using daemon = await openDaemon(() => bucket.check());
  daemon.readiness.noteChainRead();
  const away = [{ name: 'bucket', ok: false, detail: 'failed (s3/unreachable)' }];
  expect(await daemon.ask()).toEqual({ http: 503, status: 'not ready', bad: away });
});

test('chain never read, or not for a minute: 503 that says so', async () => {
  await using daemon = await openDaemon();
  const unread = [{ name: 'chain', ok: false, detail: 'has not been read yet' }];
  expect(await daemon.ask()).toEqual({ http: 503, status: 'not ready', bad: unread });
  daemon.readiness.noteChainRead();
  daemon.later(61_000);
  const { http, bad } = await daemon.ask();
  expect({ http, bad }).toEqual({ http: 503, bad: [{ name: 'chain', ok: false, detail: 'was read 61 s ago' }] });
});

test('database cannot be written: 503 with its code, without its path', async () => {
  await using daemon = await openDaemon();
  daemon.readiness.noteChainRead();
  expect((await daemon.ask()).http).toBe(200);
  await runSql(daemon.options, 'alter table cursors rename to elsewhere');
  daemon.later(2000);
  const { http, bad } = await daemon.ask();
  expect({ http, bad }).toEqual({ http: 503, bad: [{ name: 'store', ok: false, detail: 'failed (SQLITE_ERROR)' }] });
});

test('job in progress without a run: 503 with its id', async () => {
  await using daemon = await openDaemon();
  daemon.readiness.noteChainRead();
  daemon.stray.push(jobId('7'));
  const { http, bad } = await daemon.ask();
  expect({ http, names: bad.map(({ name }) => name) }).toEqual({ http: 503, names: ['jobs'] });
  expect(bad[0]?.detail).toContain(jobId('7'));
});

test('asked by many at once: one look serves them all', async () => {
  await using daemon = await openDaemon();
  await Promise.all(Array.from({ length: 50 }, () => daemon.ask()));
  const [row] = await runSql(daemon.options, "select block_number from cursors where id = 'touched'");
  expect(row).toEqual({ block_number: 0 });
});
