/** Starts many Python children for the price of one: see `fork-server.py`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pythonPackageDir } from '../../src/runner/python';
import { openScratch } from './scratch';
import { testPython } from './tiny-job';

export interface ForkServer extends AsyncDisposable {
  /** Stands for the interpreter wherever `python -m emeth` is started. */
  readonly python: string;
}

export async function openForkServer(): Promise<ForkServer> {
  const scratch = await openScratch();
  const [socket, python] = [scratch.file('socket'), scratch.file('python')];
  const script = join(__dirname, 'fork-server.py');
  const env = { ...process.env, PYTHONPATH: pythonPackageDir, OMP_NUM_THREADS: '1', PYTHONUNBUFFERED: '1' };
  const server = spawn(testPython, [script, socket, 'serve'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(server, 'exit');
  const [line] = await Promise.race([once(server.stdout, 'data'), exited.then(() => ['it ended'])]);
  if (!String(line).startsWith('ready')) throw new Error(`The fork server did not start: ${line}`);
  // -S and -E: without site packages it starts in milliseconds.
  const lines = ['#!/bin/sh', `exec '${testPython}' -S -E '${script}' '${socket}' "$@"`, ''];
  await writeFile(python, lines.join('\n'), { mode: 0o755 });
  return {
    python,
    async [Symbol.asyncDispose]() {
      server.stdin.end();
      await exited;
      await scratch[Symbol.asyncDispose]();
    },
  };
}
