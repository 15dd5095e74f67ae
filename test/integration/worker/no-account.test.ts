/** A worker under a user id that the machine has no account for, as container platforms choose one. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { freePort } from '../../../src/lib/free-port';
import { builtCli } from '../../support/cli';
import { openScratch } from '../../support/scratch';
import { realPython } from '../../support/tiny-job';

const ID = '12345';
/** A namespace needs no rights and changes no file's owner; where there is none, root can choose. */
const inNamespace = ['unshare', '--user', `--map-user=${ID}`, `--map-group=${ID}`];
const asNobody =
  spawnSync('unshare', ['--user', 'true']).status === 0
    ? inNamespace
    : ['setpriv', `--reuid=${ID}`, `--regid=${ID}`, '--clear-groups'];

test('user id without an account: the worker starts, and stops in order', async () => {
  await using scratch = await openScratch();
  await chmod(scratch.path, 0o777);
  const config = {
    master_node_url: `http://127.0.0.1:${await freePort()}`,
    chainId: 31337,
    powerCapacity: 50,
  };
  await writeFile(scratch.file('worker.json'), JSON.stringify(config));
  const { HOME: _home, USER: _user, LOGNAME: _logname, ...env } = process.env;
  const role = ['worker', '--config', scratch.file('worker.json'), '--data-dir', scratch.file('data')];
  const [program = '', ...args] = [...asNobody, process.execPath, builtCli(), ...role];
  const child = spawn(program, args, {
    env: { ...env, EMETH_PYTHON: realPython, EMETH_SANDBOX: 'require' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line);
    if (line.includes('Worker ready')) child.kill('SIGTERM');
  }
  expect(lines.join('\n')).toMatch(/Worker ready/);
  expect((await exited)[0]).toBe(0);
});
