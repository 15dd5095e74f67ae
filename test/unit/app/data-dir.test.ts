/** Data directories that cannot be written. */
import { stat, writeFile } from 'node:fs/promises';
import { makeDataDir } from '../../../src/app/data-dir';
import { openScratch } from '../../support/scratch';

test('no such directory yet: made, with the inner one', async () => {
  await using scratch = await openScratch();
  await makeDataDir(scratch.file('a/b'), 'logs');
  expect((await stat(scratch.file('a/b/logs'))).isDirectory()).toBe(true);
});

test('file in the way: throws store/no-data-dir with the reason and the remedy', async () => {
  await using scratch = await openScratch();
  await writeFile(scratch.file('file'), '');
  await expect(makeDataDir(scratch.file('file/data'))).rejects.toMatchObject({
    code: 'store/no-data-dir',
    message: `The data directory ${scratch.file('file/data')} cannot be written: a part of its path is a file; choose another with --data-dir.`,
  });
});
