/** Concurrent fetches of one data set; apart from the other tests because it needs a slow server. */
import { readdir } from 'node:fs/promises';
import { BlobStore } from '../../../src/blobs/blob-store';
import { fetchDataset } from '../../../src/blobs/dataset';
import { sha256 } from '../../../src/lib/hash';
import { openHttpsServer, testCertificate } from '../../support/https-server';
import { openScratch } from '../../support/scratch';

const book = Buffer.from('Call me Ishmael. '.repeat(500));

test('three jobs fetch one address at once: each gets all of it', async () => {
  await using scratch = await openScratch();
  await using server = await openHttpsServer((_request, response) => {
    response.write(book.subarray(0, 100));
    setTimeout(() => response.end(book.subarray(100)), 50);
  });
  const blobs = new BlobStore(scratch.path);
  const https = { ca: testCertificate, isAllowedAddress: () => true };
  const options = {
    storages: ['http://127.0.0.1:1/api/v1'],
    allowPrivate: false,
    maxBytes: 10_000,
    allowFiles: false,
    https,
  };
  const fetching = () => fetchDataset(`https://127.0.0.1:${server.port}/book`, blobs, options);
  const fetched = { sha256: sha256(book), bytes: book.length };
  expect(await Promise.all([fetching(), fetching(), fetching()])).toEqual([fetched, fetched, fetched]);
  expect((await readdir(scratch.path)).filter((name) => name.endsWith('.fetching'))).toEqual([]);
});
