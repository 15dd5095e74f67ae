/** The heap of a process that moves many bytes and computes little, in processes of their own. */
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { builtCli } from '../support/cli';

/** Makes objects that outlive some collections, and prints the size of the young generation afterwards. */
const grow = `
  let kept = [];
  for (let i = 0; i < 2e6; i += 1) {
    kept.push({ i });
    if (kept.length > 50_000) kept = [];
  }
  const spaces = require('node:v8').getHeapSpaceStatistics();
  console.log(spaces.find(({ space_name }) => space_name === 'new_space').space_size);`;

test('small heap preferred: objects that come and go do not make it grow', () => {
  const module = join(dirname(builtCli()), 'lib', 'lean-heap.js');
  const plain = printedMiB(grow);
  const small = printedMiB(`require(${JSON.stringify(module)}).preferSmallHeap();${grow}`);
  expect(plain).toBeGreaterThanOrEqual(8);
  expect(small).toBeLessThan(4);
});

function printedMiB(script: string): number {
  return Number(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })) / 2 ** 20;
}
