/** The storage API and its client over real HTTP: downloads, resumed uploads, refusals, cuts. */
import { once } from 'node:events';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { BlobStore, type FoundBlob } from '../../src/blobs/blob-store';
import { RemoteBlobs, type SignUpload } from '../../src/blobs/remote-blobs';
import type { Sha256 } from '../../src/domain/ids';
import { sha256 } from '../../src/lib/hash';
import { STORAGE_DOMAIN, uploadTypes } from '../../src/protocol/storage';
import { openChaosProxy } from '../support/chaos-proxy';
import { until } from '../support/link-pair';
import { backEnd, MAX_UPLOAD_BYTES, openTestStorage, type TestStorage } from '../support/storage';

const book = Buffer.from('Call me Ishmael. Some years ago, never mind how long precisely. '.repeat(3000));
const bookName = sha256(book) as Sha256;

interface PutOptions {
  name?: string;
  content?: Buffer;
  length?: string;
  offset?: number;
  bytes?: number;
  sign?: SignUpload;
  authorization?: string;
  expiresInMs?: number;
}

async function put(storage: TestStorage, options: PutOptions = {}) {
  const { content = book, name = sha256(content), offset = 0, bytes = content.length, expiresInMs = 60_000 } = options;
  const owner = storage.wallet.address;
  const expiresAtMs = Date.now() + expiresInMs;
  const blob = /^[0-9a-f]{64}$/.test(name) ? `0x${name}` : `0x${'00'.repeat(32)}`;
  const signature = await (options.sign ?? storage.sign)({ owner, blob, bytes, expiresAtMs });
  const response = await fetch(`${storage.url}/uploads/${name}`, {
    method: 'PUT',
    headers: {
      authorization: options.authorization ?? `Emeth ${owner} ${expiresAtMs} ${signature}`,
      'upload-length': options.length ?? String(bytes),
      'upload-offset': String(offset),
    },
    body: content.subarray(offset),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

describe('GET /blobs', () => {
  test('GET a blob: its bytes, cacheable forever', async () => {
    await using storage = await openTestStorage();
    await storage.blobs.addBytes(book);
    const signed = await storage.pass.headers();
    const response = await fetch(`${storage.url}/blobs/${bookName}`, { headers: signed });
    expect(response.status).toBe(200);
    expect(response.headers.get('etag')).toBe(`"${bookName}"`);
    expect(response.headers.get('cache-control')).toContain('immutable');
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(Buffer.from(await response.arrayBuffer())).toEqual(book);
    // fetch would add `Cache-Control: no-cache`
    const headers = { ...signed, 'if-none-match': `"${bookName}"` };
    const again = httpRequest({ port: storage.port, path: `/api/v1/blobs/${bookName}`, headers }).end();
    const [unchanged] = await once(again, 'response');
    expect(unchanged.resume().statusCode).toBe(304);
  });

  test('HEAD of a blob: its size', async () => {
    await using storage = await openTestStorage();
    await storage.blobs.addBytes(book);
    const response = await fetch(`${storage.url}/blobs/${bookName}`, { method: 'HEAD' });
    expect([response.status, response.headers.get('content-length')]).toEqual([200, String(book.length)]);
  });

  test.each<[string, number, [number, number] | undefined]>([
    ['bytes=5-9', 206, [5, 10]],
    ['bytes=100-', 206, [100, book.length]],
    ['bytes=-7', 206, [book.length - 7, book.length]],
    [`bytes=${book.length}-`, 416, undefined],
  ])('Range %s: status %i', async (range, status, span) => {
    await using storage = await openTestStorage();
    await storage.blobs.addBytes(book);
    const response = await fetch(`${storage.url}/blobs/${bookName}`, {
      headers: { ...(await storage.pass.headers()), range },
    });
    expect(response.status).toBe(status);
    if (span) expect(Buffer.from(await response.arrayBuffer())).toEqual(book.subarray(...span));
  });

  test('unknown blob: 404 storage/unknown-blob', async () => {
    await using storage = await openTestStorage();
    const headers = await storage.pass.headers();
    const response = await fetch(`${storage.url}/blobs/${'00'.repeat(32)}`, { headers });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'storage/unknown-blob' } });
  });

  test.each(
    [
      '..%2f..%2fsecret',
      '%2e%2e%2fsecret',
      '..%5c..%5csecret',
      '....//secret',
      '%2e%2e/%2e%2e/secret',
      '..;/secret',
      '%00',
      `${'a'.repeat(63)}%00`,
      '%c0%ae%c0%ae%c0%afsecret',
      '%252e%252e%252fsecret',
      `../${'a'.repeat(64)}`,
      `${bookName}.part`,
      bookName.toUpperCase(),
      `${bookName}%20`,
      '%2fetc%2fpasswd',
      'con',
      '-',
      'x'.repeat(5000),
    ].map((path) => [path.slice(0, 40), path]),
  )('path %s: refused for every method', async (_start, path) => {
    await using storage = await openTestStorage();
    await mkdir(storage.blobsDir, { recursive: true });
    await writeFile(join(storage.blobsDir, '..', 'secret'), 'TREASURE');
    for (const [method, kind] of [
      ['GET', 'blobs'],
      ['HEAD', 'uploads'],
      ['PUT', 'uploads'],
    ] as const) {
      // fetch would normalise the path before sending it
      const sent = httpRequest({ port: storage.port, method, path: `/api/v1/${kind}/${path}` }).end();
      const [response] = await once(sent, 'response');
      const text = (await response.setEncoding('utf8').toArray()).join('');
      expect(response.statusCode).toBeGreaterThanOrEqual(400);
      expect(response.statusCode).toBeLessThan(500);
      expect(text).not.toContain('TREASURE');
      expect(text === '' || 'error' in JSON.parse(text)).toBe(true);
    }
  });
});

describe('uploads', () => {
  test('upload: stored once, and not sent again', async () => {
    await using storage = await openTestStorage();
    expect(await put(storage)).toMatchObject({ status: 201, body: { sha256: bookName, bytes: book.length } });
    expect(await storage.blobs.stat(bookName)).toEqual({ bytes: book.length });
    expect(await put(storage)).toMatchObject({ status: 200 });
    const head = await fetch(`${storage.url}/uploads/${bookName}`, { method: 'HEAD' });
    expect(head.headers.get('upload-complete')).toBe('?1');
  });

  test('only the beginning arrives: kept, and the upload resumes', async () => {
    await using storage = await openTestStorage();
    const first = await put(storage, { content: book.subarray(0, 1000), name: bookName, bytes: book.length });
    expect([first.status, first.headers.get('upload-offset')]).toEqual([202, '1000']);
    const head = await fetch(`${storage.url}/uploads/${bookName}`, { method: 'HEAD' });
    expect([head.headers.get('upload-offset'), head.headers.get('upload-complete')]).toEqual(['1000', '?0']);
    const wrong = await put(storage, { offset: 500 });
    expect(wrong).toMatchObject({ status: 409, body: { error: { code: 'storage/wrong-offset' } } });
    expect(wrong.headers.get('upload-offset')).toBe('1000');
    expect(await put(storage, { offset: 1000 })).toMatchObject({ status: 201 });
  });

  test('HEAD of an upload not started: offset 0, and nothing is created', async () => {
    await using storage = await openTestStorage();
    const head = await fetch(`${storage.url}/uploads/${'00'.repeat(32)}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('upload-offset')]).toEqual([200, '0']);
    await expect(storage.blobs.partBytes('00'.repeat(32) as Sha256)).resolves.toBe(0);
    await expect(writeFile(join(storage.blobsDir, '00', 'x'), '')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('other bytes than named: storage/hash-mismatch, and nothing is kept', async () => {
    await using storage = await openTestStorage();
    const name = sha256('something else');
    expect(await put(storage, { name })).toMatchObject({
      status: 422,
      body: { error: { code: 'storage/hash-mismatch' } },
    });
    expect(await storage.blobs.partBytes(name as Sha256)).toBe(0);
  });

  test.each<[number, string, PutOptions]>([
    [401, 'storage/unauthorised', { authorization: '' }],
    [401, 'storage/unauthorised', { authorization: 'Bearer x' }],
    [401, 'storage/unauthorised', { authorization: 'Emeth 0x12 soon sig' }],
    [401, 'storage/unauthorised', { sign: async () => '0x12' }],
    [401, 'storage/unauthorised', { expiresInMs: -1 }],
    [401, 'storage/unauthorised', { expiresInMs: 25 * 3600_000 }],
    [401, 'storage/unauthorised', { length: '5' }],
    [400, 'storage/bad-length', { length: '' }],
    [400, 'storage/bad-length', { length: '0' }],
    [400, 'storage/bad-length', { length: '-1' }],
    [400, 'storage/bad-length', { length: '1e3' }],
    [400, 'storage/bad-length', { bytes: 5 }],
    [413, 'storage/too-large', { bytes: MAX_UPLOAD_BYTES + 1 }],
  ])('bad request %#: refused with %i %s', async (status, code, options) => {
    await using storage = await openTestStorage();
    expect(await put(storage, options)).toMatchObject({ status, body: { error: { code } } });
    expect(await storage.blobs.stat(bookName)).toBeUndefined();
  });

  test('signature of another account, chain or blob: refused', async () => {
    await using storage = await openTestStorage();
    const foreign: SignUpload = (upload) => storage.stranger.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
    expect(await put(storage, { sign: foreign })).toMatchObject({ status: 401 });
    const elsewhere: SignUpload = (upload) => storage.wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload, 1);
    expect(await put(storage, { sign: elsewhere })).toMatchObject({ status: 401 });
    const other: SignUpload = (upload) => storage.sign({ ...upload, blob: `0x${'00'.repeat(32)}` });
    expect(await put(storage, { sign: other })).toMatchObject({ status: 401 });
  });

  // A bucket has no disk of this machine.
  const onDisk = backEnd.isBucket ? test.skip : test;
  onDisk('disk full: 507, and the upload works once there is room', async () => {
    await using storage = await openTestStorage();
    const partPath = `${new BlobStore(storage.blobsDir).path(bookName)}.part`;
    await mkdir(dirname(partPath), { recursive: true });
    await symlink('/dev/full', partPath);
    expect(await put(storage)).toMatchObject({ status: 507, body: { error: { code: 'storage/disk-full' } } });
    await rm(partPath);
    expect(await put(storage)).toMatchObject({ status: 201 });
  });

  test('account that may not upload: 403 storage/not-allowed', async () => {
    await using storage = await openTestStorage();
    const { address: owner } = storage.stranger;
    const upload = { owner, blob: `0x${bookName}`, bytes: book.length, expiresAtMs: Date.now() + 60_000 };
    const signature = await storage.stranger.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
    const answer = await put(storage, { authorization: `Emeth ${owner} ${upload.expiresAtMs} ${signature}` });
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'storage/not-allowed' } } });
  });

  test('uploads that announce more than the money covers: refused before a byte is kept', async () => {
    await using storage = await openTestStorage(undefined, { rules: { bytesPerEmt: 50_000 } });
    const announce = (n: number) => put(storage, { content: Buffer.from(`a ${n}`), bytes: 240_000 });
    const statuses: number[] = [];
    for (let n = 0; n < 20; n++) statuses.push((await announce(n)).status);
    // 10 EMT cover two of them; unfinished ones count whole.
    expect(statuses).toEqual([202, 202, ...Array.from({ length: 18 }, () => 403)]);
    expect(await announce(9)).toMatchObject({
      body: { error: { code: 'storage/over-quota', message: expect.stringContaining('may store 500.0 kB here') } },
    });
    const found: FoundBlob[] = [];
    for await (const one of storage.blobs.list()) found.push(one);
    expect(found.map(({ bytes, isPart }) => [bytes, isPart])).toEqual([
      [3, true],
      [3, true],
    ]);
  });

  test('second sender of a blob, and one that is too slow: refused', async () => {
    await using storage = await openTestStorage();
    const owner = storage.wallet.address;
    const expiresAtMs = Date.now() + 60_000;
    const signature = await storage.sign({ owner, blob: `0x${bookName}`, bytes: book.length, expiresAtMs });
    const slow = connect(storage.port, '127.0.0.1');
    slow.write(
      [
        `PUT /api/v1/uploads/${bookName} HTTP/1.1`,
        'Host: x',
        `Authorization: Emeth ${owner} ${expiresAtMs} ${signature}`,
        `Upload-Length: ${book.length}`,
        `Content-Length: ${book.length}`,
        '',
        'Call',
      ].join('\r\n'),
    );
    while ((await storage.blobs.partBytes(bookName)) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await put(storage, { offset: 4 })).toMatchObject({ status: 423, body: { error: { code: 'storage/busy' } } });
    storage.passTime(120_000);
    slow.write(' me');
    const [answer] = await once(slow, 'data');
    expect(String(answer)).toContain('storage/too-slow');
    slow.destroy();
  });
});

describe('RemoteBlobs', () => {
  test('upload, size and download: all work, with progress', async () => {
    await using storage = await openTestStorage();
    const remote = new RemoteBlobs(`${storage.url}/`);
    const [here, there] = [new BlobStore(join(storage.dir, 'a')), new BlobStore(join(storage.dir, 'b'))];
    await here.addBytes(book);
    const seen: [string, number][] = [];
    const { pass } = storage;
    const onProgress = (kind: string) => (done: number, total: number) => seen.push([kind, done / total]);
    await remote.upload(bookName, here, storage.wallet.address, storage.sign, { onProgress: onProgress('up') });
    expect(await remote.size(bookName)).toBe(book.length);
    expect(await remote.download(bookName, there, book.length, { pass, onProgress: onProgress('down') })).toEqual({
      bytes: book.length,
    });
    expect(seen.findLast(([kind]) => kind === 'up')).toEqual(['up', 1]);
    expect(seen.at(-1)).toEqual(['down', 1]);
  });

  test('cuts at any byte, in both directions: transfers resume', async () => {
    await using storage = await openTestStorage();
    await using proxy = await openChaosProxy(storage.port);
    const remote = new RemoteBlobs(`http://127.0.0.1:${proxy.port}/api/v1`);
    let run = 0;
    const cuts = fc.integer({ min: 60_000, max: 150_000 });
    await fc.assert(
      fc.asyncProperty(cuts, cuts, async (up, down) => {
        const content = Buffer.concat([Buffer.from(`${run++}`), book, book]);
        const name = sha256(content) as Sha256;
        const [here, there] = [`${run}a`, `${run}b`].map((dir) => new BlobStore(join(storage.dir, dir))) as [
          BlobStore,
          BlobStore,
        ];
        await here.addBytes(content);
        proxy.set('toServer', { cutAfter: up });
        await remote.upload(name, here, storage.wallet.address, storage.sign);
        expect(await storage.blobs.stat(name)).toEqual({ bytes: content.length });
        proxy.set('toServer', {});
        proxy.set('toClient', { cutAfter: down });
        await remote.download(name, there, content.length, { pass: storage.pass });
        expect(await there.stat(name)).toEqual({ bytes: content.length });
        proxy.set('toClient', {});
      }),
      { numRuns: 4 },
    );
  }, 120_000);

  test.each([
    ['shorter', 8],
    ['longer', book.length + 8],
  ])('part with bytes of another, %s blob: sent and fetched again from the start', async (_which, bytes) => {
    await using storage = await openTestStorage();
    const remote = new RemoteBlobs(storage.url);
    const own = new BlobStore(storage.dir);
    await own.addBytes(book);
    for (const blobs of [storage.blobs, new BlobStore(join(storage.dir, 'b'))]) {
      const part = await blobs.openPart(bookName);
      await part.append(Buffer.alloc(bytes, 'nonsense'));
      await part.close();
    }
    await remote.upload(bookName, own, storage.wallet.address, storage.sign);
    expect(await storage.blobs.stat(bookName)).toEqual({ bytes: book.length });
    const { pass } = storage;
    expect(await remote.download(bookName, new BlobStore(join(storage.dir, 'b')), book.length, { pass })).toEqual({
      bytes: book.length,
    });
  });

  test('storage unreachable for a moment: the download is retried', async () => {
    await using storage = await openTestStorage();
    await using proxy = await openChaosProxy(storage.port);
    await storage.blobs.addBytes(book);
    proxy.refuse(true);
    const remote = new RemoteBlobs(`http://127.0.0.1:${proxy.port}/api/v1`);
    const { pass } = storage;
    const downloading = remote.download(bookName, new BlobStore(storage.dir), book.length, { pass });
    await until(() => proxy.refused > 0);
    proxy.refuse(false);
    expect(await downloading).toEqual({ bytes: book.length });
  });

  test('missing, too large, not authorised: each has its error code', async () => {
    await using storage = await openTestStorage();
    const remote = new RemoteBlobs(storage.url);
    const own = new BlobStore(storage.dir);
    await expect(remote.size('00'.repeat(32) as Sha256)).rejects.toMatchObject({ code: 'blobs/not-stored' });
    await storage.blobs.addBytes(book);
    await expect(remote.download(bookName, own, 5)).rejects.toMatchObject({ code: 'blobs/too-large' });
    const { sha256: other } = await own.addBytes(Buffer.from('other'));
    const sign: SignUpload = async () => '0x';
    const refused = remote.upload(other, own, storage.wallet.address, sign);
    await expect(refused).rejects.toMatchObject({ code: 'blobs/storage-refused', detail: { status: 401 } });
    await expect(refused).rejects.toThrow(/signature is not by this account/);
  });

  test('storage unreachable: error with the remedy, or the reason of the signal', async () => {
    await using storage = await openTestStorage();
    const remote = new RemoteBlobs('http://127.0.0.1:1/api/v1');
    await expect(remote.size(bookName)).rejects.toThrow(
      /http:\/\/127.0.0.1:1\/api\/v1 cannot be reached .* correct storageApi/,
    );
    const aborter = new AbortController();
    const downloading = remote.download(bookName, new BlobStore(storage.dir), 5, { signal: aborter.signal });
    setTimeout(() => aborter.abort(), 20);
    await expect(downloading).rejects.toMatchObject({ name: 'AbortError' });
  });
});

test.each([50, 5])('upload of %i MB refused: the sender gets the reason', async (megabytes) => {
  await using storage = await openTestStorage();
  const own = new BlobStore(storage.dir);
  const { sha256: name } = await own.addBytes(Buffer.alloc(megabytes * 2 ** 20, 'a'));
  const uploading = new RemoteBlobs(storage.url).upload(name, own, storage.wallet.address, storage.sign);
  await expect(uploading).rejects.toMatchObject({ code: 'blobs/storage-refused', detail: { status: 413 } });
});

test('forwarding headers of a proxy: served, and nothing is printed', async () => {
  const printed = jest.spyOn(console, 'error').mockImplementation(() => {});
  await using storage = await openTestStorage();
  const headers = { 'x-forwarded-for': '8.8.8.8', forwarded: 'for=8.8.8.8' };
  expect((await fetch(`${storage.url}/uploads/${bookName}`, { method: 'HEAD', headers })).status).toBe(200);
  expect(printed).not.toHaveBeenCalled();
  printed.mockRestore();
});
