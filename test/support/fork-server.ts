/** Starts many Python children for the price of one: see `python/tests/fork_server.py`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { pythonPackageDir } from '../../src/runner/python';
import { openScratch } from './scratch';
import { realPython } from './tiny-job';

export interface ForkServer extends AsyncDisposable {
  /** Stands for the interpreter: `-m emeth` is forked, all else is run as ever. */
  readonly python: string;
  /** Lets this process end without disposing; the server ends with it. */
  unref(): void;
}

export async function openForkServer(): Promise<ForkServer> {
  const scratch = await openScratch();
  const [socket, python] = [scratch.file('socket'), scratch.file('python')];
  const script = join(pythonPackageDir, 'tests', 'fork_server.py');
  const env = { ...process.env, PYTHONPATH: pythonPackageDir, PYTHONUNBUFFERED: '1' };
  const server = spawn(realPython, [script, socket, 'serve'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(server, 'exit');
  const [line] = await Promise.race([once(server.stdout, 'data'), exited.then(() => ['it ended'])]);
  if (!String(line).startsWith('ready')) throw new Error(`The fork server did not start: ${line}`);
  const lines = [
    '#!/bin/sh',
    `[ "$*" = '-m emeth' ] || exec '${realPython}' "$@"`,
    // Without site packages it starts in milliseconds.
    `exec '${realPython}' -S -E '${script}' '${socket}'`,
    '',
  ];
  await writeFile(python, lines.join('\n'), { mode: 0o755 });
  return {
    python,
    unref() {
      server.unref();
      for (const stream of [server.stdin, server.stdout]) (stream as Socket).unref();
      process.once('exit', () => rmSync(scratch.path, { recursive: true, force: true }));
    },
    async [Symbol.asyncDispose]() {
      server.stdin.end();
      await exited;
      await scratch[Symbol.asyncDispose]();
    },
  };
}
