/** A free port of 127.0.0.1 for a process that will listen later. */
import { createServer } from 'node:net';
import { AppError } from './errors';

export type FreePortError = { code: 'lib/no-free-port'; from: number; to: number };

/** Below the range of outgoing connections, which could take a port between search and use. */
const FIRST = 20_000;
const COUNT = 12_768;
/** Each process starts its search elsewhere, so that parallel searches find different ports. */
const STRIDE = 16;
let searches = 0;

/** Returns a port of 127.0.0.1 that nothing listens on. Throws `lib/no-free-port`. */
export async function freePort(): Promise<number> {
  for (let left = COUNT; left > 0; left -= 1) {
    const port = FIRST + ((process.pid * STRIDE + searches++) % COUNT);
    if (await canListen(port)) return port;
  }
  const range = { from: FIRST, to: FIRST + COUNT - 1 };
  throw new AppError<FreePortError>(
    { code: 'lib/no-free-port', ...range },
    `No port of 127.0.0.1 from ${range.from} to ${range.to} is free; stop some programs, or allow these ports.`,
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
