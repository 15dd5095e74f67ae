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

const isGone = (url: string) =>
  ask(url, 'eth_chainId').then(
    () => false,
    () => true,
  );

describe('startAnvil', () => {
  test('default: a development chain that is gone when disposed', async () => {
    const anvil = await startAnvil();
    expect(await ask(anvil.url, 'eth_chainId')).toBe('0x7a69');
    await anvil[Symbol.asyncDispose]();
    expect(await isGone(anvil.url)).toBe(true);
  });

  test('when blockTimeS is given, transactions wait for the clock', async () => {
    await using anvil = await startAnvil({ blockTimeS: 3600 });
    expect(await ask(anvil.url, 'anvil_getAutomine')).toBe(false);
  });

  test.each([
    ['at once', 0],
    ['all together, long after it ended', 1500],
  ])('throws runner/anvil-failed with its words for a port that is taken, read %s', async (_when, blockedMs) => {
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

  test('when our process is killed, the chain ends too', async () => {
    const script = `require('./anvil.ts').startAnvil().then(({ url }) => console.log(url))`;
    const cwd = join(__dirname, '..', '..', '..', 'src', 'runner');
    const parent = spawn(process.execPath, ['-r', 'ts-node/register/transpile-only', '-e', script], { cwd });
    const words: string[] = [];
    parent.stderr.on('data', (chunk) => words.push(String(chunk)));
    let url = '';
    for await (const line of createInterface({ input: parent.stdout })) {
      url = line;
      parent.kill('SIGKILL');
    }
    expect(words.join('')).toBe('');
    while (!(await isGone(url))) await systemClock.sleep(20);
  });
});
