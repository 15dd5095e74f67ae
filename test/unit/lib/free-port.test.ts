/** Tests of the search for a free port, against the system's own range. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { freePort } from '../../../src/lib/free-port';

test('default: the port is free and below the range of outgoing connections', async () => {
  const port = await freePort();
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  // Only Linux publishes its range in a file.
  const range = process.platform === 'linux' ? readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8') : '49152';
  expect(port).toBeLessThan(Number.parseInt(range, 10));
});
