import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

const read = (name: string) => readFileSync(join(__dirname, '..', 'fixtures', 'tls', name), 'utf8');

/** The self-signed certificate of `localhost`, 127.0.0.1 and 127.0.0.2 that the server shows. */
export const testCertificate = read('cert.pem');

/** An HTTPS server on all loopback addresses. */
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
