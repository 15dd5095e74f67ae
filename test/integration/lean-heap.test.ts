/** The memory of a process that moves many buffers, in processes of their own. */
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { builtCli } from '../support/cli';

/** Drops 160 MiB of buffers, and prints the most memory that buffers had. */
const churn = `
  let most = 0, rounds = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < 32; i += 1) Buffer.allocUnsafeSlow(65536);
    most = Math.max(most, process.memoryUsage().arrayBuffers);
    if ((rounds += 1) < 80) return;
    clearInterval(timer);
    console.log(most);
  }, 10);`;

test('lean heap while buffers come and go: few of them wait for their collection', () => {
  const module = join(dirname(builtCli()), 'lib', 'lean-heap.js');
  const plain = mostMiB(churn);
  const lean = mostMiB(`require(${JSON.stringify(module)}).keepHeapLean();${churn}`);
  expect(plain).toBeGreaterThan(25);
  expect(lean).toBeLessThan(0.7 * plain);
});

function mostMiB(script: string): number {
  return Number(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })) / 2 ** 20;
}
