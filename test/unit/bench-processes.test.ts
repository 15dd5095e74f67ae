/** What a benchmark learns of its processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { answerOf, mostMb } from '../../scripts/bench/processes';

function start(code: string): ChildProcess {
  return spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
}

test('process that says something: that, and then the next', async () => {
  const child = start("process.on('message', (said) => process.send(said)); process.send('first')");
  expect(await answerOf(child)).toBe('first');
  child.send('second');
  expect(await answerOf(child)).toBe('second');
  child.disconnect();
});

test.each([
  ['process.exit(3)', 'ended with 3'],
  ["process.kill(process.pid, 'SIGKILL')", 'ended with SIGKILL'],
])('process that ends by %s instead: %s', async (code, message) => {
  await expect(answerOf(start(code))).rejects.toThrow(message);
});

test('most memory: of this process some, of one that is not there an error', () => {
  expect(mostMb('self')).toBeGreaterThan(10);
  expect(() => mostMb(2 ** 30)).toThrow();
});
