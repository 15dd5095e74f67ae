/** The HTTP server: errors as JSON, time limits, and its close with open connections. */
import { type EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Express } from 'express';
import { allowLongBody } from '../../../src/http/deadline';
import { openHttp } from '../../../src/http/server';
import { AppError } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';

const open = (mount: (app: Express) => void = () => {}, port = 0) =>
  openHttp({ host: '127.0.0.1', port }, mount, { logger: silentLogger });

const get = async (port: number, path: string) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, headers: response.headers, body: await response.json() };
};

describe('openHttp', () => {
  test('mounted route: served with security headers', async () => {
    await using http = await open((app) => app.get('/hello', (_request, response) => void response.json({ hello: 1 })));
    const { status, headers, body } = await get(http.port, '/hello');
    expect({ status, body }).toEqual({ status: 200, body: { hello: 1 } });
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });

  test.each<[string, unknown, number, string]>([
    ['an error with a status', new AppError({ code: 'room/full', status: 507 }, 'No room.'), 507, 'room/full'],
    ['an AppError without one', new AppError({ code: 'room/odd' }, 'Secret detail.'), 500, 'room/odd'],
    ['any other error', new Error('Secret detail.'), 500, 'unknown'],
    ['an odd status', Object.assign(new Error('Secret detail.'), { status: 200 }), 500, 'unknown'],
  ])('route throws %s: JSON without secrets', async (_name, error, status, code) => {
    await using http = await open((app) =>
      app.get('/', () => {
        throw error;
      }),
    );
    const answer = await get(http.port, '/');
    expect(answer).toMatchObject({ status, body: { error: { code } } });
    expect(JSON.stringify(answer.body)).not.toContain('Secret');
  });

  test('unknown path: 404 in JSON', async () => {
    await using http = await open();
    expect(await get(http.port, '/none')).toMatchObject({ status: 404, body: { error: { code: 'http/not-found' } } });
  });

  test('port in use: http/port-in-use with the remedy', async () => {
    await using http = await open();
    const second = open(() => {}, http.port);
    await expect(second).rejects.toMatchObject({ code: 'http/port-in-use' });
    await expect(second).rejects.toThrow(new RegExp(`Port ${http.port} .* set another port`));
  });

  test('address of another machine: http/cannot-listen', async () => {
    const opening = openHttp({ host: '192.0.2.1', port: 0, insecure: true }, () => {}, { logger: silentLogger });
    await expect(opening).rejects.toMatchObject({ code: 'http/cannot-listen' });
  });

  test('closed with idle, upgraded and unanswered connections: all end', async () => {
    const http = await open((app) => app.get('/never', () => {}));
    http.server.on('upgrade', () => {});
    const idle = connect(http.port, '127.0.0.1');
    const asking = connect(http.port, '127.0.0.1');
    const upgraded = connect(http.port, '127.0.0.1');
    const sockets = [idle, asking, upgraded];
    for (const socket of sockets) socket.on('error', () => {});
    const closed = sockets.map((socket) => once(socket.resume(), 'close'));
    asking.write('GET /never HTTP/1.1\r\nHost: x\r\n\r\n');
    upgraded.write('GET /link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await once(http.server, 'upgrade');
    await http[Symbol.asyncDispose]();
    await Promise.all(closed);
  });

  test('silent connections: the oldest makes room for a request, all are cut off', async () => {
    const limits = { host: '127.0.0.1', port: 0, maxConnections: 3 };
    const answer = (app: Express) => app.get('/', (_request, response) => void response.json({}));
    await using http = await openHttp({ ...limits, firstByteMs: 60_000 }, answer, { logger: silentLogger });
    const sockets: Socket[] = [];
    const dial = async () => {
      const accepted = once(http.server, 'connection');
      const socket = connect(http.port, '127.0.0.1');
      sockets.push(socket.on('error', () => {}).resume());
      await accepted;
      return { closed: once(socket, 'close') };
    };
    const [oldest] = [await dial(), await dial(), await dial()];
    expect((await get(http.port, '/')).status).toBe(200);
    await oldest?.closed;
    expect(sockets.map((socket) => socket.closed)).toEqual([true, false, false]);
    await using hasty = await openHttp({ ...limits, firstByteMs: 50 }, answer, { logger: silentLogger });
    await once(connect(hasty.port, '127.0.0.1').resume(), 'close');
    for (const socket of sockets) socket.destroy();
  });

  test('first byte there, but the process too busy to read it: answered', async () => {
    const limits = { host: '127.0.0.1', port: 0, firstByteMs: 100 };
    const answer = (app: Express) => app.get('/', (_request, response) => void response.send('hello'));
    await using http = await openHttp(limits, answer, { logger: silentLogger });
    const accepted = once(http.server, 'connection');
    const socket = connect(http.port, '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    await accepted;
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    for (const end = performance.now() + 300; performance.now() < end; );
    const [data] = await once(socket, 'data', { signal: AbortSignal.timeout(5000) });
    expect(String(data)).toContain('200 OK');
  });

  test('all connections at work: the next is refused, WebSockets not counted among them', async () => {
    const limits = { host: '127.0.0.1', port: 0, maxConnections: 2 };
    await using http = await openHttp(limits, (app) => app.get('/never', () => {}), { logger: silentLogger });
    http.server.on('upgrade', () => {});
    const sockets = ['Upgrade: websocket\r\nConnection: Upgrade', 'X-A: 1', 'X-B: 2'].map((header) => {
      const socket = connect(http.port, '127.0.0.1').on('error', () => {});
      socket.write(`GET /never HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`);
      return socket;
    });
    await Promise.all([once(http.server, 'upgrade'), twice(http.server, 'request')]);
    await once(
      connect(http.port, '127.0.0.1')
        .on('error', () => {})
        .resume(),
      'close',
    );
    expect(sockets.map((socket) => socket.destroyed)).toEqual([false, false, false]);
    for (const socket of sockets) socket.destroy();
  });

  test('all WebSockets taken: the next is refused, requests are answered', async () => {
    const limits = { host: '127.0.0.1', port: 0, maxUpgraded: 1 };
    const answer = (app: Express) => app.get('/', (_request, response) => void response.json({}));
    await using http = await openHttp(limits, answer, { logger: silentLogger });
    const accepted: Socket[] = [];
    http.server.on('upgrade', (_request, socket: Socket) => {
      accepted.push(socket.resume().on('end', () => socket.end()));
    });
    const upgrade = async () => {
      const upgraded = once(http.server, 'upgrade');
      const socket = connect(http.port, '127.0.0.1').on('error', () => {});
      socket.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
      await upgraded;
      return socket.resume();
    };
    const first = await upgrade();
    await once(await upgrade(), 'close');
    expect((await get(http.port, '/')).status).toBe(200);
    expect(first.destroyed).toBe(false);
    first.destroy();
    await once(accepted[0] as Socket, 'close');
    const third = await upgrade();
    expect((await get(http.port, '/')).status).toBe(200);
    expect(third.destroyed).toBe(false);
    third.destroy();
  });

  test('offer of HTTP/2 where nothing takes upgrades: answered as a plain request', async () => {
    await using http = await open((app) => app.get('/', (_request, response) => void response.send('plain')));
    const socket = connect(http.port, '127.0.0.1').on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
    const [answer] = await once(socket, 'data', { signal: AbortSignal.timeout(4000) });
    expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  test('headers that never end: cut off', async () => {
    const limits = { host: '127.0.0.1', port: 0, headersMs: 300 };
    await using http = await openHttp(limits, () => {}, { logger: silentLogger });
    const socket = connect(http.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
    const trickle = setInterval(() => socket.write('X-More: 1\r\n'), 30);
    await once(socket.resume(), 'close');
    clearInterval(trickle);
  });

  test('slow body: cut off, unless its route allows it or only the answer is slow', async () => {
    const routes = (app: Express) => {
      app.post('/short', (request, response) => void request.resume().on('end', () => response.json({})));
      app.post('/long', (request, response) => {
        allowLongBody(response);
        request.resume().on('end', () => response.json({}));
      });
      app.get('/slow', (_request, response) => void setTimeout(() => response.json({}), 300));
    };
    await using http = await openHttp({ host: '127.0.0.1', port: 0, bodyMs: 50 }, routes, { logger: silentLogger });
    const post = async (path: string, endsAfterMs?: number) => {
      const socket = connect(http.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nCal`);
      if (endsAfterMs) setTimeout(() => socket.end('l'), endsAfterMs);
      const pieces = await socket
        .setEncoding('utf8')
        .toArray()
        .catch(() => []);
      return pieces.join('').slice(9, 12);
    };
    expect(await post('/short')).toBe('');
    expect(await post('/long', 300)).toBe('200');
    expect((await get(http.port, '/slow')).status).toBe(200);
  });
});

/** Waits for two events. */
function twice(emitter: EventEmitter, event: string): Promise<void> {
  let count = 0;
  return new Promise((resolve) =>
    emitter.on(event, () => {
      count += 1;
      if (count === 2) resolve();
    }),
  );
}
