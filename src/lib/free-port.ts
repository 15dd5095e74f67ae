import { createServer } from 'node:net';

/** Below what systems give to outgoing connections: one of those would be lost again to the next of them. */
const FIRST = 20_000;
const COUNT = 12_768;
/** Each process begins at another place, so that two that look at the same time find different ones. */
const STRIDE = 16;
let looks = 0;

/** A port of 127.0.0.1 that nobody listens on now, for somebody who will only later. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + ((process.pid * STRIDE + looks++) % COUNT);
    if (await canListen(port)) return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
