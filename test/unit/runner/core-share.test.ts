import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { openCoreShare } from '../../../src/runner/core-share';
import { openScratch } from '../../support/scratch';

describe('openCoreShare', () => {
  test('default: all cores for the only process', async () => {
    await using scratch = await openScratch();
    using share = openCoreShare(scratch.path);
    expect(share.threads()).toBe(availableParallelism());
  });

  test('when another process computes: half of them, at least one', async () => {
    await using scratch = await openScratch();
    using share = openCoreShare(scratch.path);
    await writeFile(scratch.file(String(process.ppid)), '');
    expect(share.threads()).toBe(Math.max(1, Math.floor(availableParallelism() / 2)));
  });

  test('survives the files of processes that are gone', async () => {
    await using scratch = await openScratch();
    using share = openCoreShare(scratch.path);
    await writeFile(scratch.file('4194304999'), '');
    expect(share.threads()).toBe(availableParallelism());
  });
});
