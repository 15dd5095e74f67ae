/** The agent for requests to other machines: what it does with servers that close the connection early. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { proxiedAgent } from '../../../src/lib/proxy';

// undici 7.26 to 7.30 end the process here.
test('connection closed while the answer waits to be read: all of it arrives', async () => {
  const content = Buffer.alloc(64 * 1024, 'a');
  let closed: Promise<unknown> | undefined;
  const server = createServer((_request, response) => {
    closed = once(response, 'close');
    response.writeHead(200, { connection: 'close', 'content-length': content.length }).end(content);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  await using agent = { it: proxiedAgent(), [Symbol.asyncDispose]: () => agent.it.close() };
  const { port } = server.address() as AddressInfo;
  const { body } = await request(`http://127.0.0.1:${port}`, { dispatcher: agent.it });
  await closed;
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  expect(Buffer.from(await body.arrayBuffer())).toEqual(content);
  server.close();
});
