/** Data sets of every kind: references, limits, promised hashes, and addresses that must not be reached. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { pathToFileURL } from 'node:url';
import { BlobStore } from '../../../src/blobs/blob-store';
import { datasetSize, fetchDataset } from '../../../src/blobs/dataset';
import type { HttpsRules } from '../../../src/blobs/https-download';
import { sha256 } from '../../../src/lib/hash';
import { openHttpsServer, testCertificate } from '../../support/https-server';
import { openScratch } from '../../support/scratch';
import { openTestStorage } from '../../support/storage';

const book = Buffer.from('Call me Ishmael. '.repeat(500));
const options = { storages: ['http://127.0.0.1:1/api/v1'], allowPrivate: false, maxBytes: 10_000, allowFiles: true };
/** 127.0.0.1 stands for the public network, 127.0.0.2 for the private one. */
const rules: HttpsRules = { ca: testCertificate, isAllowedAddress: (address) => address === '127.0.0.1' };

/** Fetches `path` of an HTTPS server, by name or address. */
async function fetchHttps(answer: RequestListener, path: string, more: { host?: string; https?: HttpsRules } = {}) {
  await using scratch = await openScratch();
  await using server = await openHttpsServer(answer);
  const blobs = new BlobStore(scratch.path);
  const url = `https://${more.host ?? '127.0.0.1'}:${server.port}${path}`;
  try {
    const fetched = await fetchDataset(url, blobs, { ...options, https: more.https ?? rules });
    return { ...fetched, content: await readFile(blobs.path(fetched.sha256)) };
  } finally {
    expect((await readdir(scratch.path)).filter((name) => name.endsWith('.fetching'))).toEqual([]);
  }
}

const serve =
  (content: Buffer): RequestListener =>
  (_request, response) =>
    response.end(content);

describe('references', () => {
  test.each([
    '',
    'sha256:12',
    `sha256:${'AB'.repeat(32)}`,
    'http://example.org/x',
    'ftp://example.org/x',
    'https://example.org/x#sha256=12',
    'https://example.org/x#top',
    'https:example.org/x',
    'https://',
    'file://host/etc/passwd',
    'data:text/plain,x',
    '../../etc/passwd',
    'https://example.org/\u001b[31m',
    'file:/tmp/a\nb',
    `file:/${'x'.repeat(2000)}`,
  ])('reference %j: dataset/bad-reference', async (reference) => {
    await using scratch = await openScratch();
    const fetching = fetchDataset(reference, new BlobStore(scratch.path), options);
    await expect(fetching).rejects.toMatchObject({ code: 'dataset/bad-reference' });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    await expect(fetching).rejects.toThrow(/^[^\x00-\x1f]*$/);
  });

  test('file where files are not allowed: dataset/bad-reference', async () => {
    await using scratch = await openScratch();
    const fetching = fetchDataset('file:/etc/passwd', new BlobStore(scratch.path), { ...options, allowFiles: false });
    await expect(fetching).rejects.toThrow(/works only on the machine it is on/);
  });
});

describe('file:', () => {
  test('path or URL of a file: fetched', async () => {
    await using scratch = await openScratch();
    const path = scratch.file('a book.txt');
    await writeFile(path, book);
    for (const reference of [`file:${path}`, pathToFileURL(path).href]) {
      const blobs = new BlobStore(scratch.file(sha256(reference)));
      expect(await datasetSize(reference, blobs, options)).toBe(book.length);
      expect(await fetchDataset(reference, blobs, options)).toEqual({ sha256: sha256(book), bytes: book.length });
    }
  });

  test.each([
    ['none', 'dataset/missing'],
    ['.', 'dataset/missing'],
    ['empty', 'dataset/empty'],
    ['large', 'dataset/too-large'],
  ])('file %s: %s', async (name, code) => {
    await using scratch = await openScratch();
    await writeFile(scratch.file('empty'), '');
    await writeFile(scratch.file('large'), Buffer.alloc(10_001));
    const fetching = fetchDataset(`file:${scratch.file(name)}`, new BlobStore(scratch.file('blobs')), options);
    await expect(fetching).rejects.toMatchObject({ code });
  });
});

describe('sha256:', () => {
  test('sha256 reference: from storage with progress, or from the own store', async () => {
    await using storage = await openTestStorage();
    await using scratch = await openScratch();
    const { sha256: name } = await storage.blobs.addBytes(book);
    const own = new BlobStore(scratch.path);
    const from = { ...options, storages: [storage.url] };
    const seen: number[] = [];
    expect(await datasetSize(`sha256:${name}`, own, from)).toBe(book.length);
    const onProgress = (done: number, total: number) => seen.push(done / total);
    expect(await fetchDataset(`sha256:${name}`, own, from, { pass: storage.pass, onProgress })).toEqual({
      sha256: name,
      bytes: book.length,
    });
    expect(seen.at(-1)).toBe(1);
    expect(await fetchDataset(`sha256:${name}`, own, options)).toEqual({ sha256: name, bytes: book.length });
  });

  test('missing or too large in storage: dataset/missing, dataset/too-large', async () => {
    await using storage = await openTestStorage();
    await using scratch = await openScratch();
    const { sha256: name } = await storage.blobs.addBytes(Buffer.alloc(10_001, 'x'));
    const from = { ...options, storages: [storage.url] };
    const blobs = new BlobStore(scratch.path);
    await expect(fetchDataset(`sha256:${'00'.repeat(32)}`, blobs, from)).rejects.toMatchObject({
      code: 'dataset/missing',
    });
    await expect(fetchDataset(`sha256:${name}`, blobs, from)).rejects.toMatchObject({ code: 'dataset/too-large' });
  });
});

describe('https:', () => {
  test('server by address and by name: fetched', async () => {
    for (const host of ['127.0.0.1', 'localhost']) {
      const loopback = { ...rules, isAllowedAddress: (address: string) => /^(127\.|::1$)/.test(address) };
      const fetched = await fetchHttps(serve(book), '/book', { host, https: loopback });
      expect(fetched).toEqual({ sha256: sha256(book), bytes: book.length, content: book });
    }
  });

  test('reference with a hash: other content is refused', async () => {
    expect(await fetchHttps(serve(book), `/book#sha256=${sha256(book)}`)).toMatchObject({ bytes: book.length });
    const other = fetchHttps(serve(book), `/book#sha256=${sha256('other')}`);
    await expect(other).rejects.toMatchObject({ code: 'dataset/hash-mismatch' });
  });

  test('redirects to allowed addresses: five are followed', async () => {
    const hops =
      (last: number): RequestListener =>
      ({ url }, response) => {
        const hop = Number(url?.slice(1));
        if (hop < last) response.writeHead(302, { location: `/${hop + 1}` });
        response.end(hop < last ? '' : book);
      };
    expect(await fetchHttps(hops(5), '/0')).toMatchObject({ bytes: book.length });
    await expect(fetchHttps(hops(6), '/0')).rejects.toMatchObject({ code: 'dataset/missing' });
  });

  test.each([
    'https://127.0.0.2/',
    'https://[::1]/',
    'https://169.254.169.254/latest/meta-data',
    'https://0x7f000002/',
    'https://[::ffff:127.0.0.2]/',
    'http://127.0.0.1/',
    'file:///etc/passwd',
  ])('redirect to %s: dataset/forbidden-address', async (location) => {
    const answer: RequestListener = (_request, response) => response.writeHead(302, { location }).end();
    await expect(fetchHttps(answer, '/')).rejects.toMatchObject({ code: 'dataset/forbidden-address' });
  });

  test.each([
    'localhost',
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '0177.0.0.1',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '255.255.255.255',
    '224.0.0.1',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[::ffff:0:127.0.0.1]',
    '[fec0::1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '[fc00::1]',
    '[fe80::1]',
    '[ff02::1]',
  ])('https://%s: refused before anything is sent', async (host) => {
    await using scratch = await openScratch();
    const fetching = fetchDataset(`https://${host}:1/x`, new BlobStore(scratch.path), options);
    await expect(fetching).rejects.toMatchObject({ code: 'dataset/forbidden-address' });
  });

  test.each<[string, RequestListener]>([
    ['dataset/missing', (_request, response) => response.writeHead(404).end('no')],
    ['dataset/missing', (_request, response) => response.writeHead(500).end('no')],
    ['dataset/missing', (_request, response) => response.writeHead(302, { location: 'https://' }).end()],
    ['dataset/missing', (request) => request.socket.destroy()],
    [
      'dataset/missing',
      (_request, response) => response.writeHead(200, { 'content-length': 99 }).write('x', () => response.destroy()),
    ],
    ['dataset/empty', serve(Buffer.alloc(0))],
    ['dataset/too-large', (_request, response) => response.writeHead(200, { 'content-length': 10_001 }).flushHeaders()],
    ['dataset/too-large', (_request, response) => response.writeHead(200).end(Buffer.alloc(20_000))],
  ])('answer %#: %s', async (code, answer) => {
    await expect(fetchHttps(answer, '/')).rejects.toMatchObject({ code });
  });

  test('untrusted certificate: dataset/missing', async () => {
    const https = { isAllowedAddress: () => true };
    await expect(fetchHttps(serve(book), '/', { https })).rejects.toThrow(/self-signed certificate/);
  });

  test('aborted: throws the reason of the signal', async () => {
    await using scratch = await openScratch();
    const aborter = new AbortController();
    await using server = await openHttpsServer(() => aborter.abort(new Error('stopping')));
    const fetching = fetchDataset(
      `https://127.0.0.1:${server.port}/`,
      new BlobStore(scratch.path),
      { ...options, https: rules },
      { signal: aborter.signal },
    );
    await expect(fetching).rejects.toThrow('stopping');
  });

  test('size: that of HEAD, or 0 when HEAD is refused', async () => {
    await using scratch = await openScratch();
    await using server = await openHttpsServer(({ url }, response) => {
      if (url === '/book') response.writeHead(200, { 'content-length': book.length });
      else response.writeHead(url === '/gone' ? 404 : 405);
      response.end();
    });
    const size = (path: string) =>
      datasetSize(`https://127.0.0.1:${server.port}${path}`, new BlobStore(scratch.path), { ...options, https: rules });
    expect(await size('/book')).toBe(book.length);
    expect(await size('/no-head')).toBe(0);
    await expect(size('/gone')).rejects.toMatchObject({ code: 'dataset/missing' });
  });

  test('size from a server that never comes to an end of its headers: given up in time', async () => {
    await using scratch = await openScratch();
    await using server = await openHttpsServer((_request, response) => void response.writeProcessing());
    const url = `https://127.0.0.1:${server.port}/book`;
    const given = { ...options, https: rules };
    const sizing = datasetSize(url, new BlobStore(scratch.path), given, AbortSignal.timeout(100));
    await expect(sizing).rejects.toMatchObject({ code: 'dataset/missing' });
  });
});
