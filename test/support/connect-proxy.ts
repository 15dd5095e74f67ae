/** An HTTP proxy as companies have them: for tunnels and plain requests, with a password. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ConnectProxy extends AsyncDisposable {
  /** Its address, with user and password. */
  readonly url: string;
  /** `host:port` of every tunnel, and the address of every plain request, in order. */
  readonly asked: string[];
}

const [USER, PASSWORD] = ['emeth', 'p@ss word'];
const AUTHORIZATION = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;

/** Opens a proxy on loopback for these hosts, `name:port`, by their ports here; it refuses all others. */
export async function openConnectProxy(hosts: Record<string, number>): Promise<ConnectProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const refusal = (incoming: IncomingMessage, host: string) => {
    if (incoming.headers['proxy-authorization'] !== AUTHORIZATION) return 407;
    return hosts[host] === undefined ? 403 : undefined;
  };
  const server = createServer((incoming, answer) => {
    const url = new URL(incoming.url ?? '', 'http://none');
    asked.push(url.href);
    const status = refusal(incoming, url.host);
    if (status) return void answer.writeHead(status).end();
    const port = hosts[url.host] as number;
    const { 'proxy-authorization': _own, ...headers } = incoming.headers;
    const path = url.pathname + url.search;
    const onward = request({ host: '127.0.0.1', port, method: incoming.method, path, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    incoming.pipe(onward);
  });
  server.on('connection', (socket) => sockets.add(socket));
  server.on('connect', (incoming, client: Socket, head: Buffer) => {
    const host = incoming.url ?? '';
    asked.push(host);
    client.on('error', () => {});
    const status = refusal(incoming, host);
    if (status) return void client.end(`HTTP/1.1 ${status} Refused\r\n\r\n`);
    const onward = connect(hosts[host] as number, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      client.pipe(onward).pipe(client);
    });
    sockets.add(onward.on('error', () => client.destroy()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const credentials = `${USER}:${encodeURIComponent(PASSWORD)}`;
  return {
    url: `http://${credentials}@127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
