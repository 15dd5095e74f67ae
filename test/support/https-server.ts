/** An HTTPS server with a certificate of its own, for tests of downloads. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

const read = (name: string) => readFileSync(join(__dirname, '..', 'fixtures', 'tls', name), 'utf8');

/** The server's self-signed certificate for `localhost`, 127.0.0.1 and 127.0.0.2. */
export const testCertificate = read('cert.pem');

/** Opens an HTTPS server on all addresses of this machine. */
export async function openHttpsServer(answer: RequestListener): Promise<AsyncDisposable & { port: number }> {
  const server = createServer({ cert: testCertificate, key: read('key.pem') }, answer);
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
