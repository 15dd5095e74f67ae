/** Blobs that several storages may have: dead, lying, slow and forbidden ones among them. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BlobStore } from '../../../src/blobs/blob-store';
import { type BlobPlaces, openSource } from '../../../src/blobs/located-blobs';
import { openReadPass } from '../../../src/blobs/read-pass';
import { Address, JobId, type Sha256 } from '../../../src/domain/ids';
import { sha256 } from '../../../src/lib/hash';
import { NO_JOB } from '../../../src/protocol/storage';
import { openHttpsServer, testCertificate } from '../../support/https-server';
import { openScratch } from '../../support/scratch';

const book = Buffer.from('Call me Ishmael. '.repeat(60_000));
const name = sha256(book) as Sha256;
const DEAD = 'http://127.0.0.1:1/api/v1';
const MAX = book.length;

/** Answers like a storage that has these bytes under every name, from the offset that is asked for. */
const serve =
  (content: Buffer): RequestListener =>
  (request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': content.length - start });
    response.end(request.method === 'HEAD' ? undefined : content.subarray(start));
  };
const missing: RequestListener = (_request, response) => void response.writeHead(404).end();

/** A place to download into, and servers that note what they are asked. */
async function open() {
  const scratch = await openScratch();
  const closers: (() => void)[] = [];
  return {
    into: new BlobStore(scratch.path),
    async server(answer: RequestListener) {
      const asked: string[] = [];
      const server = createServer((request, response) => {
        asked.push(`${request.method} ${request.headers.range ?? ''}`.trim());
        answer(request, response);
      });
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
      closers.push(() => {
        server.closeAllConnections();
        server.close();
      });
      return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1`, asked };
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) close();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

const places = (storages: string[], more: Partial<BlobPlaces> = {}): BlobPlaces => ({
  storages,
  allowPrivate: true,
  ...more,
});
/** Where all fail, or one never answers. */
const impatient = { quickMs: 1000 };

test('configured storage dead: the named one serves, and is asked first next time', async () => {
  await using rig = await open();
  const dead = await rig.server((request) => void request.socket.destroy());
  const named = await rig.server(serve(book));
  const source = openSource(places([dead.url]), [named.url]);
  expect(await source.size(name)).toBe(book.length);
  expect(await source.download(name, rig.into, MAX)).toEqual({ bytes: book.length });
  expect(await rig.into.stat(name)).toEqual({ bytes: book.length });
  expect(dead.asked).toHaveLength(1);
});

test('transfer cut in the middle: the next storage goes on at the offset', async () => {
  await using rig = await open();
  const half = await rig.server((request, response) => {
    response.writeHead(200, { 'content-length': book.length });
    if (request.method === 'HEAD') return void response.end();
    response.write(book.subarray(0, 500_000), () => response.destroy());
  });
  const whole = await rig.server(serve(book));
  await openSource(places([half.url, whole.url])).download(name, rig.into, MAX);
  expect(await rig.into.stat(name)).toEqual({ bytes: book.length });
  expect(whole.asked[0]).toBe('HEAD');
  expect(whole.asked[1]).toMatch(/^GET bytes=[1-9]\d*-$/);
});

test('storage that cuts every transfer after a while: all arrives in the end', async () => {
  await using rig = await open();
  const short = await rig.server((request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': book.length - start });
    if (request.method === 'HEAD') return void response.end();
    response.write(book.subarray(start, start + 100_000), () => request.socket.end());
  });
  await openSource(places([]), [short.url]).download(name, rig.into, MAX);
  expect(await rig.into.stat(name)).toEqual({ bytes: book.length });
});

test('first bytes of one storage are forged: the blob arrives from another one', async () => {
  await using rig = await open();
  const forged = await rig.server((request, response) => {
    response.writeHead(200, { 'content-length': book.length });
    if (request.method === 'HEAD') return void response.end();
    response.write(Buffer.alloc(500_000), () => response.destroy());
  });
  const whole = await rig.server(serve(book));
  await openSource(places([]), [forged.url, whole.url]).download(name, rig.into, MAX);
  expect(await rig.into.stat(name)).toEqual({ bytes: book.length });
});

test('named storage sends other bytes: passed over, and not asked again', async () => {
  await using rig = await open();
  const liar = await rig.server(serve(Buffer.alloc(book.length)));
  let answer = serve(book);
  const honest = await rig.server((request, response) => answer(request, response));
  const source = openSource(places([]), [liar.url, honest.url]);
  await source.download(name, rig.into, MAX);
  await rig.into.remove(name);
  const asked = liar.asked.length;
  answer = missing;
  await expect(source.download(name, rig.into, MAX)).rejects.toMatchObject({ code: 'blobs/not-stored' });
  expect(liar.asked).toHaveLength(asked);
});

test('storage that could not be asked: comes after all others for a while', async () => {
  await using rig = await open();
  const dead = await rig.server((request) => void request.socket.destroy());
  const has = (own: string) =>
    rig.server((request, response) => (request.url?.endsWith(own) ? serve(book) : missing)(request, response));
  const other = 'cd'.repeat(32) as Sha256;
  const [one, two] = [await has(other), await has(name)];
  const source = openSource(places([]), [dead.url, one.url, two.url]);
  expect(await source.size(name)).toBe(book.length);
  expect(await source.size(other)).toBe(book.length);
  expect(dead.asked).toHaveLength(1);
});

test('named storage drips or falls silent: another one goes on', async () => {
  await using rig = await open();
  const drip = await rig.server((request, response) => {
    response.writeHead(200, { 'content-length': book.length });
    if (request.method === 'HEAD') return void response.end();
    const timer = setInterval(() => response.write('x'), 50);
    response.on('close', () => clearInterval(timer));
  });
  const silent = await rig.server((request, response) => {
    response.writeHead(200, { 'content-length': book.length });
    if (request.method === 'HEAD') response.end();
    else response.flushHeaders();
  });
  const whole = await rig.server(serve(book));
  await openSource(places([], impatient), [drip.url, silent.url, whole.url]).download(name, rig.into, MAX);
  expect(await rig.into.stat(name)).toEqual({ bytes: book.length });
});

test.each([
  ['configured has it not, named is dead', missing, DEAD, 'blobs/not-stored'],
  ['configured is dead, named has it not', undefined, 'missing', 'blobs/storage-unreachable'],
  ['configured has too much, named is dead', serve(Buffer.alloc(2 * MAX)), DEAD, 'blobs/too-large'],
])('%s: the configured one decides', async (_what, configured, named, code) => {
  await using rig = await open();
  const own = configured ? (await rig.server(configured)).url : DEAD;
  const other = named === 'missing' ? (await rig.server(missing)).url : named;
  await expect(openSource(places([own], impatient), [other]).download(name, rig.into, MAX)).rejects.toMatchObject({
    code,
  });
});

test('nothing configured and nothing named: blobs/not-stored', async () => {
  await using rig = await open();
  const fetching = openSource(places([])).download(name, rig.into, MAX);
  await expect(fetching).rejects.toMatchObject({ code: 'blobs/not-stored' });
});

test('private addresses not allowed: a named one is never connected to', async () => {
  await using rig = await open();
  const inside = await rig.server(serve(book));
  const source = openSource(places([], { ...impatient, allowPrivate: false }), [
    inside.url,
    inside.url.replace('http:', 'https:'),
  ]);
  await expect(source.download(name, rig.into, MAX)).rejects.toMatchObject({ code: 'blobs/storage-unreachable' });
  expect(inside.asked).toEqual([]);
});

/** 127.0.0.1 stands for the public network, 127.0.0.2 for the private one. */
const https = { ca: testCertificate, isAllowedAddress: (address: string) => address === '127.0.0.1' };

test.each([
  ['public', 'served', '127.0.0.1'],
  ['private', 'passed over', '127.0.0.2'],
])('named storage redirects to a %s address: %s', async (_what, outcome, host) => {
  await using rig = await open();
  await using target = await openHttpsServer(serve(book));
  await using server = await openHttpsServer((request, response) => {
    const location = `https://${host}:${target.port}${request.url}`;
    response.writeHead(307, { location }).end();
  });
  const named = `https://localhost:${server.port}/api/v1`;
  const patience = outcome === 'served' ? {} : impatient;
  const source = openSource(places([], { ...patience, allowPrivate: false, https }), [named]);
  const fetching = source.download(name, rig.into, MAX);
  if (outcome === 'served') expect(await fetching).toEqual({ bytes: book.length });
  else await expect(fetching).rejects.toMatchObject({ code: 'blobs/storage-unreachable' });
});

test('blobs of one named storage: asked for over one connection', async () => {
  await using rig = await open();
  const connections = new Set<unknown>();
  await using server = await openHttpsServer((request, response) => {
    connections.add(request.socket);
    serve(book)(request, response);
  });
  const named = `https://localhost:${server.port}/api/v1`;
  const source = openSource(places([], { allowPrivate: false, https }), [named]);
  expect(await source.size(name)).toBe(book.length);
  expect(await source.download(name, rig.into, MAX)).toEqual({ bytes: book.length });
  expect(await source.read(name, 0, MAX)).toEqual(book);
  expect(connections.size).toBe(1);
});

test('named storage that ends each connection after an answer: served over others', async () => {
  await using rig = await open();
  const used = new Set<unknown>();
  await using server = await openHttpsServer((request, response) => {
    if (used.has(request.socket)) return void request.socket.destroy();
    used.add(request.socket);
    serve(book)(request, response);
  });
  const named = `https://localhost:${server.port}/api/v1`;
  const source = openSource(places([], { allowPrivate: false, https }), [named]);
  expect(await source.download(name, rig.into, MAX)).toEqual({ bytes: book.length });
  expect(used.size).toBe(2);
});

test.each([
  ['of one job', 'is shown', JobId.parse(`0x${'0a'.repeat(16)}`), true],
  ['of all that an account has', 'is not shown', NO_JOB, false],
])('pass %s: %s to a storage that somebody else named', async (_what, _outcome, jobId, isShown) => {
  await using rig = await open();
  const shown = { configured: new Set<string | undefined>(), named: new Set<string | undefined>() };
  const note =
    (seen: Set<string | undefined>, answer: RequestListener): RequestListener =>
    (request, response) => {
      if (request.method === 'GET') seen.add(request.headers.authorization);
      answer(request, response);
    };
  const refuse: RequestListener = ({ method }, response) =>
    void response.writeHead(method === 'HEAD' ? 200 : 403, { 'content-length': method === 'HEAD' ? MAX : 0 }).end();
  const configured = await rig.server(note(shown.configured, refuse));
  const named = await rig.server(note(shown.named, serve(book)));
  const pass = openReadPass(jobId, { address: Address.parse(`0x${'0b'.repeat(20)}`), sign: async () => '0xsigned' });
  await openSource(places([configured.url]), [named.url]).download(name, rig.into, MAX, { pass });
  expect([...shown.configured]).toEqual([expect.stringMatching(/^Emeth-Read 0x0b.* 0xsigned$/)]);
  expect([...shown.named]).toEqual([isShown ? expect.stringMatching(/0xsigned$/) : undefined]);
});
