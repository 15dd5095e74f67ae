/** How cores are divided among processes. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { openCoreShare } from '../../../src/runner/core-share';
import { openScratch } from '../../support/scratch';

describe('openCoreShare', () => {
  test('only process: all cores', async () => {
    await using scratch = await openScratch();
    using share = openCoreShare(scratch.path);
    expect(share.threads()).toBe(availableParallelism());
  });

  test('two processes: half of the cores each, at least one', async () => {
    await using scratch = await openScratch();
    using share = openCoreShare(scratch.path);
    await writeFile(scratch.file(String(process.ppid)), '');
    expect(share.threads()).toBe(Math.max(1, Math.floor(availableParallelism() / 2)));
  });

  test('file of a dead process: not counted', async () => {
    await using scratch = await openScratch();
    using share = openCoreShare(scratch.path);
    await writeFile(scratch.file('4194304999'), '');
    expect(share.threads()).toBe(availableParallelism());
  });
});
