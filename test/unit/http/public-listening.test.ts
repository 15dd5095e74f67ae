/** Plain HTTP that others reach is refused; TLS of the server's own carries requests and the link. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';
import { refuseInsecure } from '../../../src/http/public-listening';
import { openHttp } from '../../../src/http/server';
import { silentLogger } from '../../../src/lib/logger';

const read = (name: string) => readFileSync(join(__dirname, '..', '..', 'fixtures', 'tls', name), 'utf8');
const tls = { cert: read('cert.pem'), key: read('key.pem') };

describe('refuseInsecure', () => {
  test.each(['0.0.0.0', '::', '192.168.1.5', 'node.example'])('%s without more: http/insecure', (host) => {
    expect(() => refuseInsecure({ host })).toThrow(/--insecure/);
    expect(() => refuseInsecure({ host, trustProxy: [], insecure: false })).toThrow(/certFile/);
  });

  test.each([
    ['127.0.0.1', {}],
    ['::1', {}],
    ['localhost', {}],
    ['0.0.0.0', { tls }],
    ['0.0.0.0', { trustProxy: ['10.0.0.1'] }],
    ['0.0.0.0', { insecure: true }],
  ])('%s with %j: allowed', (host, more) => {
    expect(() => refuseInsecure({ host, ...more })).not.toThrow();
  });
});

describe('openHttp', () => {
  test('plain HTTP for everybody: not opened', async () => {
    const opened = openHttp({ host: '0.0.0.0', port: 0 }, () => {}, { logger: silentLogger });
    await expect(opened).rejects.toMatchObject({ detail: { code: 'http/insecure' } });
  });

  test('TLS: requests and WebSockets arrive encrypted, and count once', async () => {
    const limits = { host: '127.0.0.1', port: 0, maxConnections: 1, maxUpgraded: 1, tls };
    await using http = await openHttp(limits, (app) => app.get('/', (_request, response) => void response.send('hi')), {
      logger: silentLogger,
    });
    const sockets = new WebSocketServer({ server: http.server });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data.toString())));
    const socket = new WebSocket(`wss://127.0.0.1:${http.port}`, { rejectUnauthorized: false });
    await once(socket, 'open');
    // An upgraded connection is no longer a plain one: there is room for this request.
    const [response] = await once(
      request({ host: '127.0.0.1', port: http.port, agent: false, rejectUnauthorized: false }).end(),
      'response',
    );
    expect(response.statusCode).toBe(200);
    response.resume();
    socket.send('through');
    expect(String((await once(socket, 'message'))[0])).toBe('through');
    socket.terminate();
    sockets.close();
  });
});
