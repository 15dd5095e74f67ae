/** Downloads from storages that misbehave. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BlobStore } from '../../../src/blobs/blob-store';
import { RemoteBlobs } from '../../../src/blobs/remote-blobs';
import type { Sha256 } from '../../../src/domain/ids';
import { openScratch } from '../../support/scratch';
import { openTestStorage } from '../../support/storage';

const name = 'ab'.repeat(32) as Sha256;

/** Downloads from a server that answers as the test wants. */
async function downloadFrom(listener: RequestListener) {
  await using scratch = await openScratch();
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const remote = new RemoteBlobs(`http://127.0.0.1:${port}`);
    return await remote.download(name, new BlobStore(scratch.path), 1000);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('no size in the answer, as from a proxy: blobs/storage-refused', async () => {
  const silent: RequestListener = (_request, response) => {
    response.setHeader('transfer-encoding', 'chunked').end();
  };
  await expect(downloadFrom(silent)).rejects.toMatchObject({ code: 'blobs/storage-refused' });
});

test('other bytes of the right size: blobs/hash-mismatch', async () => {
  const forged: RequestListener = (_request, response) => void response.setHeader('content-length', 6).end('forged');
  await expect(downloadFrom(forged)).rejects.toMatchObject({ code: 'blobs/hash-mismatch' });
});

test('more bytes than announced: blobs/too-large', async () => {
  const growing: RequestListener = (request, response) => {
    if (request.method === 'HEAD') response.setHeader('content-length', 5);
    response.end(request.method === 'HEAD' ? '' : 'x'.repeat(2000));
  };
  await expect(downloadFrom(growing)).rejects.toMatchObject({ code: 'blobs/too-large' });
});

test.each([301, 400, 401, 500])('status %i: blobs/storage-refused', async (status) => {
  const refused = downloadFrom((_request, response) => void response.writeHead(status).end());
  await expect(refused).rejects.toMatchObject({ code: 'blobs/storage-refused', detail: { status } });
});

test('same blob downloaded three times at once: sent once', async () => {
  await using scratch = await openScratch();
  await using storage = await openTestStorage();
  const { sha256, bytes } = await storage.blobs.addBytes(Buffer.alloc(3_000_000, 'a'));
  const into = new BlobStore(scratch.path);
  let received = 0;
  const onProgress = (done: number) => {
    if (done === bytes) received += 1;
  };
  const download = () => new RemoteBlobs(storage.url).download(sha256, into, bytes, { pass: storage.pass, onProgress });
  expect(await Promise.all([download(), download(), download()])).toEqual([{ bytes }, { bytes }, { bytes }]);
  expect(received).toBe(1);
});
