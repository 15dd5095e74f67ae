import { createServer } from 'node:net';
import { AppError } from './errors';

export type FreePortError = { code: 'lib/no-free-port'; from: number; to: number };

/** Below what systems give to outgoing connections: one of those would be lost again to the next of them. */
const FIRST = 20_000;
const COUNT = 12_768;
/** Each process begins at another place, so that two that look at the same time find different ones. */
const STRIDE = 16;
let looks = 0;

/** A port of 127.0.0.1 that nobody listens on now, for somebody who will only later. Throws `lib/no-free-port`. */
export async function freePort(): Promise<number> {
  for (let left = COUNT; left > 0; left -= 1) {
    const port = FIRST + ((process.pid * STRIDE + looks++) % COUNT);
    if (await canListen(port)) return port;
  }
  const range = { from: FIRST, to: FIRST + COUNT - 1 };
  throw new AppError<FreePortError>(
    { code: 'lib/no-free-port', ...range },
    `No port of 127.0.0.1 from ${range.from} to ${range.to} can be listened on; end some programs, or allow these ports.`,
  );
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
