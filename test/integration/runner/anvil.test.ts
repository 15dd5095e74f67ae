/** Start and end of the local chain, also when its parent is killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '../../../src/lib/clock';
import { startAnvil } from '../../../src/runner/anvil';

async function ask(url: string, method: string): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: [] }),
  });
  return ((await response.json()) as { result?: unknown }).result;
}

const hasEnded = (url: string) =>
  ask(url, 'eth_chainId').then(
    () => false,
    () => true,
  );

describe('startAnvil', () => {
  test('default: a development chain that ends when disposed', async () => {
    const anvil = await startAnvil();
    expect(await ask(anvil.url, 'eth_chainId')).toBe('0x7a69');
    await anvil[Symbol.asyncDispose]();
    expect(await hasEnded(anvil.url)).toBe(true);
  });

  test('blockTimeS given: transactions wait for the clock', async () => {
    await using anvil = await startAnvil({ blockTimeS: 3600 });
    expect(await ask(anvil.url, 'anvil_getAutomine')).toBe(false);
  });

  test.each([
    ['at once', 0],
    ['long after anvil ended', 1500],
  ])('port taken, output read %s: runner/anvil-failed', async (_when, blockedMs) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const starting = startAnvil({ port });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockedMs);
    await expect(starting).rejects.toMatchObject({
      code: 'runner/anvil-failed',
      message: expect.stringMatching(/in use/i),
    });
    taken.close();
  });

  test('parent killed: the chain ends too', async () => {
    const script = `require('./anvil.ts').startAnvil().then(({ url }) => console.log(url))`;
    const cwd = join(__dirname, '..', '..', '..', 'src', 'runner');
    const parent = spawn(process.execPath, ['-r', 'ts-node/register/transpile-only', '-e', script], { cwd });
    const errors: string[] = [];
    parent.stderr.on('data', (chunk) => errors.push(String(chunk)));
    let url = '';
    for await (const line of createInterface({ input: parent.stdout })) {
      url = line;
      parent.kill('SIGKILL');
    }
    expect(errors.join('')).toBe('');
    while (!(await hasEnded(url))) await systemClock.sleep(20);
  });
});
