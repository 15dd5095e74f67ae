/** Whose address a request has: connected, or as far as trusted proxies say. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { clientBehind, namedAddresses } from '../../../src/http/client-address';

/** Asks this of a real request with these headers, over loopback. */
async function ask<T>(headers: Record<string, string | string[]>, what: (request: IncomingMessage) => T): Promise<T> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sent = request({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, headers }).end();
  const [incoming, answer] = await once(server, 'request');
  const told = what(incoming);
  answer.end();
  const [response] = await once(sent, 'response');
  response.resume();
  server.close();
  await once(server, 'close');
  return told;
}

test.each<[string[], string | string[], string]>([
  [[], '203.0.113.7', '127.0.0.1'],
  [['10.0.0.0/8'], '203.0.113.7', '127.0.0.1'],
  [['127.0.0.1'], '', '127.0.0.1'],
  [['127.0.0.1'], '203.0.113.7', '203.0.113.7'],
  [['127.0.0.0/8'], '198.51.100.1, 203.0.113.7', '203.0.113.7'],
  [['127.0.0.1', '10.0.0.0/8'], '127.0.0.1, 203.0.113.7, 10.1.1.1 ,10.2.2.2', '203.0.113.7'],
  [['127.0.0.1', '10.0.0.0/8'], ['203.0.113.7', '10.1.1.1'], '203.0.113.7'],
  [['127.0.0.1', '10.0.0.0/8'], '10.1.1.1, 10.2.2.2', '10.1.1.1'],
  [['127.0.0.1'], '203.0.113.7:55555', '203.0.113.7'],
  [['127.0.0.1'], '[2001:db8::1]', '2001:db8::1'],
  [['127.0.0.1'], '[2001:DB8::1]:443', '2001:db8::1'],
  [['127.0.0.1'], '2001:db8:0::1', '2001:db8::1'],
  [['127.0.0.1'], '::ffff:203.0.113.7', '203.0.113.7'],
  [['127.0.0.1', '2001:db8::/32'], '203.0.113.7, [2001:db8::9]:1', '203.0.113.7'],
  [['127.0.0.1'], 'unknown', 'unknown'],
  [['127.0.0.1'], '127.0.0.1, <script>', 'unknown'],
  [['127.0.0.1'], ',, ,', '127.0.0.1'],
])('trusted %j, X-Forwarded-For %j: %s', async (trustProxy, header, client) => {
  expect(await ask({ 'x-forwarded-for': header }, clientBehind(trustProxy))).toBe(client);
});

test('every header of proxies: all addresses it names, with and without ports', async () => {
  const headers = {
    'x-forwarded-for': '1.1.1.1:80, odd',
    'x-real-ip': '[::1]:1',
    forwarded: 'for="[2001:db8::1]:4711";proto=http, For=2.2.2.2:8',
  };
  const named = await ask(headers, namedAddresses);
  expect(named).toEqual(['1.1.1.1', 'unknown', '::1', '2001:db8::1', '2.2.2.2']);
});
