/** What a machine has that a shut-in program must not reach: files, servers, processes of a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { chmodSync, chownSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

/** The account of programs that have no rights at all. */
export const NOBODY = 65_534;

export interface Outside extends AsyncDisposable {
  /** For `python/tests/escape.py`. */
  facts: Record<string, unknown>;
}

/** Fills `dir` with secrets, starts servers that greet everybody, and a process with a secret variable. */
export async function openOutside(dir: string, uid: number): Promise<Outside> {
  const secret = randomBytes(16).toString('hex');
  const files = writeSecrets(dir, secret, uid);
  const tcp = await listen(
    createServer((socket) => socket.end('hello')),
    { port: 0, host: '::' },
  );
  const local = await listen(
    createServer((socket) => socket.end('hello')),
    { path: join(dir, 'socket') },
  );
  chmodSync(join(dir, 'socket'), 0o777);
  const abstract = `emeth-${secret}`;
  const greeter = spawn('python3', ['-c', GREETER, abstract], { stdio: ['pipe', 'pipe', 'inherit'] });
  await started(greeter);
  const udp = createSocket('udp4');
  udp.on('message', (_, { port, address }) => udp.send('hello', port, address));
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
  const victim = spawn('sleep', ['600'], { uid, gid: uid, env: { SECRET: secret }, stdio: 'ignore' });
  return {
    facts: {
      ...files,
      secret,
      abstract,
      tcp: (tcp.address() as { port: number }).port,
      unix: join(dir, 'socket'),
      udp: udp.address().port,
      victim: victim.pid,
      node: process.pid,
    },
    async [Symbol.asyncDispose]() {
      rmSync(files.shm, { force: true });
      for (const child of [victim, greeter]) child.kill('SIGKILL');
      await Promise.all([closed(tcp), closed(local), new Promise<void>((resolve) => udp.close(() => resolve()))]);
    },
  };
}

/** Node has no name for sockets of the abstract kind. */
const GREETER = `
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(chr(0) + sys.argv[1])
server.listen()
print("ready", flush=True)
while True:
    server.accept()[0].send(b"hello")
`;

function writeSecrets(dir: string, secret: string, uid: number) {
  const paths = { key: 'key', queue: 'queue.sqlite', other: 'jobs/other/update', blob: 'blobs/ab/blob' };
  const files = Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, join(dir, path)]));
  const all = { ...files, shm: `/dev/shm/emeth-${secret}` };
  for (const inner of ['.', 'jobs', 'jobs/other', 'blobs', 'blobs/ab']) {
    mkdirSync(join(dir, inner), { recursive: true });
    chownSync(join(dir, inner), uid, uid);
  }
  for (const path of Object.values(all)) {
    writeFileSync(path, `secret ${secret}`, { mode: 0o600 });
    chownSync(path, uid, uid);
  }
  return all;
}

/** A copy of `id` that runs as root whoever starts it; only root can make one. */
export function makeSetuid(path: string): string {
  copyFileSync('/usr/bin/id', path);
  if (process.getuid?.() === 0) chmodSync(path, 0o4755);
  return path;
}

async function listen(server: Server, where: { port: number; host: string } | { path: string }): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(where, resolve));
  return server;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function started(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', () => reject(new Error('It ended at once')));
  });
}
