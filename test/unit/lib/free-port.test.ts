import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { freePort } from '../../../src/lib/free-port';

test('default: it can be listened on, and no outgoing connection is given it meanwhile', async () => {
  const port = await freePort();
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  // Only Linux says it here.
  const range = process.platform === 'linux' ? readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8') : '49152';
  expect(port).toBeLessThan(Number.parseInt(range, 10));
});
