/** Downloads from servers that close the connection before their answer is read. */
import { once } from 'node:events';
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
