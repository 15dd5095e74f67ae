/** Downloads: servers that close before their answer is read, and the one that may lie anywhere. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { requestForeign } from '../../../src/blobs/https-download';
import { openHttpsServer, testCertificate } from '../../support/https-server';

test.each([1, 64 * 1024, 300_000])('%i bytes, closed before they are read: all arrive', async (bytes) => {
  let closed: Promise<unknown> | undefined;
  await using server = await openHttpsServer((_request, response) => {
    closed = once(response, 'close');
    response.writeHead(200, { connection: 'close', 'content-length': bytes }).end(Buffer.alloc(bytes, 'a'));
  });
  const rules = { ca: testCertificate, isAllowedAddress: () => true };
  const url = new URL(`https://localhost:${server.port}/`);
  const received = await requestForeign(url, { ...rules, method: 'GET' }, async ({ body }) => {
    await closed;
    await new Promise(setImmediate);
    let count = 0;
    for await (const piece of body) {
      count += piece.length;
      await new Promise(setImmediate);
    }
    return count;
  });
  expect(received).toBe(bytes);
});

test('plain http on this machine: only at the origin that is named, also by redirect', async () => {
  const server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    const there = { '/moved': '/here', '/away': `http://localhost:${port}/here` }[request.url ?? ''];
    response.writeHead(there === undefined ? 200 : 302, there === undefined ? {} : { location: there }).end('ok');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const status = (path: string, ownOrigin: string | undefined) =>
    requestForeign(new URL(path, origin), { method: 'GET', ownOrigin }, async ({ statusCode }) => statusCode).catch(
      ({ code }) => code,
    );
  try {
    expect(await status('/here', origin)).toBe(200);
    expect(await status('/moved', origin)).toBe(200);
    expect(await status('/away', origin)).toBe('https/forbidden-address');
    expect(await status('/here', undefined)).toBe('https/forbidden-address');
    expect(await status('/here', 'http://127.0.0.1:1')).toBe('https/forbidden-address');
  } finally {
    server.close();
  }
});
